import { Metadata, status } from '@grpc/grpc-js';
import type { StatusObject } from '@grpc/grpc-js';
import { googleRpc, Status } from '@billhook/contracts';
import type { ErrorCode, FieldViolation, ServiceError } from '@billhook/runtime';

/** `google.rpc.ErrorInfo.domain` of every reason that Billhook names. */
const ERROR_DOMAIN = 'billhook';

export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';
export const ERROR_INFO_TYPE_URL = 'type.googleapis.com/google.rpc.ErrorInfo';
export const BAD_REQUEST_TYPE_URL = 'type.googleapis.com/google.rpc.BadRequest';

/** Trailers have to fit the header limit of any client, which is 8 KiB in some. */
const MAX_MESSAGE_LENGTH = 500;
const MAX_VIOLATIONS = 8;
const MAX_DESCRIPTION_LENGTH = 250;

/** What each code is on the wire. The codes that Billhook names are gRPC's own. */
const statusOfCode = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  ABORTED: status.ABORTED,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

/** Puts an error on the wire: its status, and `google.rpc.Status` with the details beside it. */
export function toStatus(error: ServiceError): StatusObject {
  const code = statusOfCode[error.code];
  const message = clip(error.message, MAX_MESSAGE_LENGTH);
  const details = [encodeErrorInfo(error.reason)];
  if (error.fieldViolations.length > 0) {
    details.push(encodeBadRequest(error.fieldViolations));
  }
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata };
}

function encodeErrorInfo(reason: string): Status['details'][number] {
  const info = { reason, domain: ERROR_DOMAIN, metadata: {} };
  return {
    typeUrl: ERROR_INFO_TYPE_URL,
    value: Buffer.from(googleRpc.ErrorInfo.encode(info).finish()),
  };
}

function encodeBadRequest(violations: readonly FieldViolation[]): Status['details'][number] {
  const fieldViolations = violations.slice(0, MAX_VIOLATIONS).map((violation) => ({
    field: clip(violation.field, MAX_DESCRIPTION_LENGTH),
    description: clip(violation.description, MAX_DESCRIPTION_LENGTH),
    reason: violation.reason,
    localizedMessage: undefined,
  }));
  return {
    typeUrl: BAD_REQUEST_TYPE_URL,
    value: Buffer.from(googleRpc.BadRequest.encode({ fieldViolations }).finish()),
  };
}

/** Bounds a text. grpc-js throws on half a surrogate pair, so none may remain at the cut. */
function clip(text: string, maxLength: number): string {
  return (text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text).toWellFormed();
}
