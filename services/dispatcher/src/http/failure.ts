import { NameNotResolvedError } from '@billhook/destinations';
import { errors } from 'undici';

/** Why an exchange came to nothing, in words for whoever owns the endpoint. */
export interface Failure {
  /** `refused`: Billhook does not deliver there; `unreachable`: the receiver failed. */
  readonly kind: 'refused' | 'unreachable';
  /** The receiver did not answer in time. */
  readonly timedOut?: true;
  /** Nothing was sent, because this process may not send any more. */
  readonly notSent?: true;
  /** One of a closed list of causes, with the code behind it in brackets. */
  readonly detail: string;
}

const CLOSED = 'connection closed';
const INVALID = 'invalid response';
const NAME = 'name not resolved';
const PROXY = 'egress proxy failed';
const NETWORK = 'network unreachable';
const TIMED_OUT = 'timed out';
const TIMED_OUT_CONNECTING = 'timed out connecting';
const TLS = 'TLS failed';
const TOO_LARGE = 'response headers too large';
const UNNAMED = 'failed';

/** It was too late to send when the connection was there. */
export class NotSentError extends Error {
  readonly code = 'NOT_SENT';

  constructor() {
    super('It was too late to send it.');
    this.name = 'NotSentError';
  }
}

const CAUSE_BY_CODE: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['ECONNABORTED', 'connection reset'],
  ['EPIPE', CLOSED],
  ['UND_ERR_SOCKET', CLOSED],
  ['UND_ERR_DESTROYED', 'shut down'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', INVALID],
  // What undici does not think possible, such as a status of 99.
  ['ERR_ASSERTION', INVALID],
  ['UND_ERR_HEADERS_OVERFLOW', TOO_LARGE],
  ['ETIMEDOUT', TIMED_OUT],
  // So undici calls it when an address of several was not connected to in time, and no other was.
  ['UND_ERR_CONNECT_TIMEOUT', TIMED_OUT_CONNECTING],
  ['EHOSTUNREACH', NETWORK],
  ['ENETUNREACH', NETWORK],
  ['EHOSTDOWN', NETWORK],
  ['ENETDOWN', NETWORK],
  ['EADDRNOTAVAIL', NETWORK],
  ['EPROTO', TLS],
  // What OpenSSL finds wrong with a certificate, and does not begin with one of the prefixes below.
  ['DEPTH_ZERO_SELF_SIGNED_CERT', TLS],
  ['SELF_SIGNED_CERT_IN_CHAIN', TLS],
  ['HOSTNAME_MISMATCH', TLS],
  ['INVALID_CA', TLS],
  ['INVALID_PURPOSE', TLS],
  ['PATH_LENGTH_EXCEEDED', TLS],
]);

const CAUSE_BY_PREFIX: readonly (readonly [prefix: string, cause: string])[] = [
  ['PROXY_', PROXY],
  ['ERR_TLS_', TLS],
  ['ERR_SSL_', TLS],
  ['CERT_', TLS],
  ['CRL_', TLS],
  ['UNABLE_TO_', TLS],
  ['ERROR_IN_', TLS],
];

/** Codes with which a connection ends when the receiver closed it. */
const CLOSING_CODES: readonly string[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];
/** Messages of undici for an answer that is none, though its code says that the socket failed. */
const INVALID_MESSAGES: readonly string[] = ['bad response', 'bad upgrade'];

/** Names the cause of an error of undici, Node or the address check. Nothing else of it is told. */
export function describeFailure(error: Error): Failure {
  const code = codeOf(error);
  if (code === 'DESTINATION_REFUSED') {
    return { kind: 'refused', detail: `refused address (${error.message})` };
  }
  if (error instanceof NotSentError) {
    return { kind: 'unreachable', detail: `not sent (${error.code})`, notSent: true };
  }
  const cause = causeOf(error, code);
  const detail = code === undefined ? cause : `${cause} (${code})`;
  return cause === TIMED_OUT || cause === TIMED_OUT_CONNECTING
    ? { kind: 'unreachable', detail, timedOut: true }
    : { kind: 'unreachable', detail };
}

/** Whether the receiver closed the connection, as far as can be seen. */
export function isClosed(error: Error): boolean {
  const code = codeOf(error);
  return code !== undefined && CLOSING_CODES.includes(code);
}

function isNoResponse(error: Error): boolean {
  return error instanceof errors.HTTPParserError || INVALID_MESSAGES.includes(error.message);
}

function causeOf(error: Error, code: string | undefined): string {
  // A DNS server that cannot be reached has the codes of a receiver that cannot.
  if (error instanceof NameNotResolvedError) return NAME;
  if (isNoResponse(error)) return INVALID;
  if (code === undefined) return UNNAMED;
  const byPrefix = CAUSE_BY_PREFIX.find(([prefix]) => code.startsWith(prefix));
  return CAUSE_BY_CODE.get(code) ?? byPrefix?.[1] ?? UNNAMED;
}

/** Only what looks like a code: a text of the receiver's choice must not get into a detail. */
function codeOf(error: Error): string | undefined {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,59}$/.test(code) ? code : undefined;
}
