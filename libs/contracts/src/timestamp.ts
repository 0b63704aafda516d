import type { Timestamp } from './generated/google/protobuf/timestamp.ts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1_000_000;
const MAX_NANOS = 999_999_999;

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the bounds that `google.protobuf.Timestamp` has. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

/**
 * Reads a time to the millisecond; what is finer is cut off.
 *
 * @returns milliseconds since 1970, or undefined if the message is not a time of the years 1 to 9999.
 */
export function readTimestampMs(timestamp: Timestamp): number | undefined {
  const { seconds, nanos } = timestamp;
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > MAX_NANOS) {
    return undefined;
  }
  return Number(seconds) * MS_PER_SECOND + Math.floor(nanos / NANOS_PER_MS);
}

/** Writes milliseconds since 1970 as a time; those before 1970 have positive nanos as well. */
export function writeTimestampMs(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / MS_PER_SECOND);
  return {
    seconds: BigInt(seconds),
    nanos: (timeMs - seconds * MS_PER_SECOND) * NANOS_PER_MS,
  };
}
