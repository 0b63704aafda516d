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
  const [, knownTraceId, flags] = parent === undefined ? [] : (TRACEPARENT.exec(parent) ?? []);
  const hex = randomHex(random);
  const traceId = knownTraceId ?? hex.slice(0, TRACE_ID_DIGITS);
  return `00-${traceId}-${hex.slice(TRACE_ID_DIGITS)}-${flags ?? SAMPLED}`;
}

const TRACE_ID_DIGITS = 32;
const WORDS = new Uint32Array(6);
const BYTES = Buffer.from(WORDS.buffer);
const WORD_RANGE = 2 ** 32;

/** The digits of a trace id and a span id. A bit of each is set, because ids of zeros alone are invalid. */
function randomHex(random: () => number): string {
  for (let word = 0; word < WORDS.length; word += 1) WORDS[word] = random() * WORD_RANGE;
  BYTES[0] = BYTES.readUInt8(0) | 1;
  BYTES[TRACE_ID_DIGITS / 2] = BYTES.readUInt8(TRACE_ID_DIGITS / 2) | 1;
  return BYTES.toString('hex');
}
