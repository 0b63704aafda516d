const NANOSECONDS = 1_000n;

/**
 * Microseconds on the clock that all processes of the machine share and that nobody sets (Linux:
 * CLOCK_MONOTONIC). What one process stamps, another one can compare.
 */
export function microsecondsNow(): number {
  return Number(process.hrtime.bigint() / NANOSECONDS);
}

/** Seconds since a time of that clock. */
export function secondsSince(startedAtMicros: number): number {
  return (microsecondsNow() - startedAtMicros) / 1_000_000;
}
