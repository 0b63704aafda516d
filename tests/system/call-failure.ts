import { status } from '@grpc/grpc-js';
import { googleRpc, Status } from '@billhook/contracts';

/** What a service answered instead of a response. */
export class CallFailure extends Error {
  /** Such as `NOT_FOUND`. */
  readonly code: string;
  /** `google.rpc.ErrorInfo.reason`, or empty. */
  readonly reason: string;
  /** The fields of `google.rpc.BadRequest`. */
  readonly fields: readonly string[];

  constructor(code: string, message: string, details: Pick<CallFailure, 'reason' | 'fields'>) {
    super(`${code} ${details.reason}: ${message}`);
    this.name = 'CallFailure';
    this.code = code;
    this.reason = details.reason;
    this.fields = details.fields;
  }
}

/** Reads what grpc-js reports of a failed call. An error that is none of gRPC's stays as it is. */
export function toCallFailure(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('metadata' in error)) return error;
  const code = status[Number(error.code)] ?? 'UNKNOWN';
  return new CallFailure(code, error.message, readDetails(error.metadata));
}

/** Says how a call ended: `OK`, or the code and reason such as `NOT_FOUND INVOICE_NOT_FOUND`. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    if (error instanceof CallFailure) return `${error.code} ${error.reason}`.trim();
    throw error;
  }
}

function readDetails(metadata: unknown): Pick<CallFailure, 'reason' | 'fields'> {
  const read = Reflect.get(Object(metadata), 'get');
  const [bytes] = typeof read === 'function' ? read.call(metadata, 'grpc-status-details-bin') : [];
  if (!(bytes instanceof Uint8Array)) return { reason: '', fields: [] };
  const details = Status.decode(bytes).details;
  const valuesOf = (type: string) =>
    details.filter(({ typeUrl }) => typeUrl.endsWith(`/${type}`)).map(({ value }) => value);
  const [info] = valuesOf('google.rpc.ErrorInfo');
  const [badRequest] = valuesOf('google.rpc.BadRequest');
  return {
    reason: info === undefined ? '' : googleRpc.ErrorInfo.decode(info).reason,
    fields: (badRequest === undefined
      ? []
      : googleRpc.BadRequest.decode(badRequest).fieldViolations
    ).map(({ field }) => field),
  };
}
