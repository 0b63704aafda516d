/** A `traceparent` of version 00 (W3C Trace Context): trace id, parent id, flags. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;
const SAMPLED = '01';

/**
 * Gives a request its `traceparent`: a new span of the trace that the event came with, or of a new
 * trace if it came with none that can be read.
 *
 * @param random gives numbers from 0 up to 1. They make ids, no secrets.
 */
export function continueTrace(parent: string | undefined, random: () => number): string {
  const [, traceId, flags] = parent === undefined ? [] : (TRACEPARENT.exec(parent) ?? []);
  const spanId = randomHex(SPAN_ID_WORDS, random);
  return `00-${traceId ?? randomHex(TRACE_ID_WORDS, random)}-${spanId}-${flags ?? SAMPLED}`;
}

const SPAN_ID_WORDS = 2;
const TRACE_ID_WORDS = 4;
const HEX_DIGITS_PER_WORD = 8;
const WORD_RANGE = 2 ** 32;

/** The lowest bit is set, because ids of zeros alone are invalid. */
function randomHex(words: number, random: () => number): string {
  let hex = '';
  for (let word = 0; word < words; word += 1) {
    const value = Math.floor(random() * WORD_RANGE);
    const digits = (word === 0 ? (value | 1) >>> 0 : value).toString(16);
    hex += digits.padStart(HEX_DIGITS_PER_WORD, '0');
  }
  return hex;
}
