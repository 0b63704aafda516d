/** Why an event has no body: its type is not known here, or its bytes are not what the type says. */
export type UnknownEventCode = 'UNKNOWN_TYPE' | 'UNREADABLE';

/** An event that this version cannot turn into a body. Whoever reads the log halts there. */
export class UnknownEventError extends Error {
  readonly code: UnknownEventCode;

  constructor(code: UnknownEventCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnknownEventError';
    this.code = code;
  }
}
