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
const WORD_RANGE = 2 ** 32;

/** Every 16 bits as four digits: numbers are written down anew for each delivery. */
const FOUR_DIGITS = Array.from({ length: 2 ** 16 }, (_, value) =>
  value.toString(16).padStart(4, '0'),
);

/** The lowest bit is set, because ids of zeros alone are invalid. */
function randomHex(words: number, random: () => number): string {
  let hex = '';
  for (let word = 0; word < words; word += 1) {
    const value = Math.floor(random() * WORD_RANGE);
    const low = word === 0 ? value | 1 : value;
    hex += `${FOUR_DIGITS[value >>> 16]}${FOUR_DIGITS[low & 0xff_ff]}`;
  }
  return hex;
}
