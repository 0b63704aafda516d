import type { Duration } from './generated/google/protobuf/duration.ts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1_000_000;
const MAX_NANOS = 999_999_999;

/** The bound that `google.protobuf.Duration` has: some 10,000 years. */
const MAX_SECONDS = 315_576_000_000n;

/**
 * Reads a span of time.
 *
 * @returns milliseconds, with a fraction if it is not a whole number of them; undefined if the
 *   message is no span of time.
 */
export function readDurationMs({ seconds, nanos }: Duration): number | undefined {
  const isInRange = seconds >= -MAX_SECONDS && seconds <= MAX_SECONDS;
  const hasOneSign = !(seconds > 0n && nanos < 0) && !(seconds < 0n && nanos > 0);
  if (!isInRange || !hasOneSign || Math.abs(nanos) > MAX_NANOS) {
    return undefined;
  }
  return Number(seconds) * MS_PER_SECOND + nanos / NANOS_PER_MS;
}

/** Writes a number of milliseconds, whole and not negative, as a span of time. */
export function writeDurationMs(durationMs: number): Duration {
  const seconds = Math.floor(durationMs / MS_PER_SECOND);
  return {
    seconds: BigInt(seconds),
    nanos: (durationMs - seconds * MS_PER_SECOND) * NANOS_PER_MS,
  };
}
