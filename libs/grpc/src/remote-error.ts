import { status } from '@grpc/grpc-js';
import type { ServiceError as GrpcError } from '@grpc/grpc-js';
import { googleRpc, Status } from '@billhook/contracts';
import type { FieldViolation } from '@billhook/runtime';
import { BAD_REQUEST_TYPE_URL, ERROR_INFO_TYPE_URL, STATUS_DETAILS_KEY } from './status.ts';

/** gRPC's name of a status, such as `NOT_FOUND`. */
export type RemoteErrorCode = Exclude<keyof typeof status, 'OK'>;

/** What another service answered instead of a response, or what became of the call on its way. */
export class RemoteError extends Error {
  readonly code: RemoteErrorCode;
  /** `google.rpc.ErrorInfo.reason`; undefined when the answer did not come from a Billhook service. */
  readonly reason: string | undefined;
  readonly fieldViolations: readonly FieldViolation[];

  constructor(code: RemoteErrorCode, message: string, details: RemoteErrorDetails) {
    super(message, { cause: details.cause });
    this.name = 'RemoteError';
    this.code = code;
    this.reason = details.reason;
    this.fieldViolations = details.fieldViolations;
  }
}

interface RemoteErrorDetails {
  readonly reason: string | undefined;
  readonly fieldViolations: readonly FieldViolation[];
  readonly cause?: unknown;
}

/** Reads what grpc-js reports of a failed call. An error that is none of gRPC's stays as it is. */
export function toRemoteError(error: unknown): unknown {
  if (!isGrpcError(error)) {
    return error;
  }
  const details = readDetails(error);
  return new RemoteError(nameOf(error.code), error.details, { ...details, cause: error });
}

/** Makes the error of a call that its own caller gave up before it began. */
export function cancelledError(cause: unknown): RemoteError {
  const details = { reason: undefined, fieldViolations: [], cause };
  return new RemoteError('CANCELLED', 'the call was cancelled', details);
}

function readDetails(error: GrpcError): RemoteErrorDetails {
  const [bytes] = error.metadata.get(STATUS_DETAILS_KEY);
  const none: RemoteErrorDetails = { reason: undefined, fieldViolations: [] };
  if (!(bytes instanceof Uint8Array)) {
    return none;
  }
  try {
    return Status.decode(bytes).details.reduce(addDetail, none);
  } catch {
    // The status itself is known; details that cannot be read add nothing to it.
    return none;
  }
}

function addDetail(
  found: RemoteErrorDetails,
  detail: Status['details'][number],
): RemoteErrorDetails {
  switch (detail.typeUrl) {
    case ERROR_INFO_TYPE_URL:
      return { ...found, reason: googleRpc.ErrorInfo.decode(detail.value).reason };
    case BAD_REQUEST_TYPE_URL:
      return { ...found, fieldViolations: readViolations(detail.value) };
    default:
      return found;
  }
}

function readViolations(bytes: Uint8Array): readonly FieldViolation[] {
  return googleRpc.BadRequest.decode(bytes).fieldViolations.map(
    ({ field, description, reason }) => ({ field, description, reason }),
  );
}

function isGrpcError(error: unknown): error is GrpcError {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}

const names = new Map(
  Object.entries(status).flatMap(([name, code]) =>
    isErrorName(name) ? [[Number(code), name] as const] : [],
  ),
);

function nameOf(code: number): RemoteErrorCode {
  return names.get(code) ?? 'UNKNOWN';
}

/** The enumeration of grpc-js maps names to numbers and numbers to names. */
function isErrorName(name: string): name is RemoteErrorCode {
  return name !== 'OK' && !/^\d/.test(name);
}
