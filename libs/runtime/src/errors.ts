/** What may go wrong with a call, after the canonical codes of gRPC. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

/** A field of a request that breaks a rule. */
export interface FieldViolation {
  /** The path of the field as the contract names it, such as `amount.currency_code`. */
  readonly field: string;
  /** A sentence that tells the caller what to change. */
  readonly description: string;
  /** Stable, UPPER_SNAKE_CASE. */
  readonly reason: string;
}

export interface ServiceErrorOptions {
  readonly fieldViolations?: readonly FieldViolation[];
  readonly cause?: unknown;
}

/** A refusal that the caller is told about: its message leaves the process. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  /** Stable, UPPER_SNAKE_CASE: what a caller may branch on (`google.rpc.ErrorInfo.reason`). */
  readonly reason: string;
  readonly fieldViolations: readonly FieldViolation[];

  constructor(code: ErrorCode, reason: string, message: string, options: ServiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.reason = reason;
    this.fieldViolations = options.fieldViolations ?? [];
  }
}

/** Refuses a request because of one field. */
export function invalidField(field: string, reason: string, description: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', reason, `${field}: ${description}`, {
    fieldViolations: [{ field, reason, description }],
  });
}

/**
 * The process cannot start as it is configured. The message is one sentence that names the variable
 * and says what is expected; it holds no secret.
 */
export class ConfigurationError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConfigurationError';
  }
}
