const MS_PER_SECOND = 1_000;
const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * MS_PER_SECOND;
/** Answers whose `Retry-After` counts: too many requests, service unavailable. */
const STATUSES_WITH_RETRY_AFTER: readonly number[] = [429, 503];

/** The three forms of an HTTP date (RFC 9110, 5.6.7). `Date.parse` alone takes far more for one. */
const HTTP_DATES: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** What a receiver that did not accept a delivery said about trying again. */
export interface RetryAdvice {
  readonly status: number;
  /** The value of `Retry-After`: seconds or an HTTP date. */
  readonly retryAfter: string | undefined;
}

/**
 * Reads from when on a receiver wants to be tried again.
 *
 * @param nowMs milliseconds since 1970, to which seconds are added.
 * @returns milliseconds since 1970, at most 24 hours from now; undefined if it did not say, said it
 * unreadably, or with a status that has no say in it.
 */
export function readRetryAfterMs(advice: RetryAdvice, nowMs: number): number | undefined {
  const { status, retryAfter } = advice;
  if (retryAfter === undefined || !STATUSES_WITH_RETRY_AFTER.includes(status)) return undefined;
  const timeMs = /^\d+$/.test(retryAfter)
    ? nowMs + Number(retryAfter) * MS_PER_SECOND
    : parseHttpDate(retryAfter);
  return Number.isNaN(timeMs) ? undefined : Math.min(timeMs, nowMs + MAX_RETRY_AFTER_MS);
}

/** The time of day of C's `asctime` is UTC too, but does not say so. */
function parseHttpDate(text: string): number {
  if (!HTTP_DATES.some((form) => form.test(text))) return Number.NaN;
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
}

/**
 * Makes the beginning of a response fit to be stored and shown: what cannot be printed, or would
 * change how the rest reads, becomes an escape such as `\u{0}`; bytes that are no UTF-8 become U+FFFD.
 */
export function toSnippet(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true })
    .decode(bytes)
    .replace(/[\p{C}\p{Zl}\p{Zp}\\]/gu, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\';
  if (character === '\n') return '\\n';
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
