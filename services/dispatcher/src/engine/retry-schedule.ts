/** Each wait is spread by this share to both sides, so that failures of one moment part again. */
const JITTER = 0.1;

/**
 * Says how long to wait after a failed attempt.
 *
 * @param scheduleMs waits after the first, second, ... attempt.
 * @param attempt the number of the attempt that failed, from 1.
 * @param random a number in [0, 1).
 * @returns milliseconds, or undefined when that was the last attempt.
 */
export function retryWaitMs(
  scheduleMs: readonly number[],
  attempt: number,
  random: number,
): number | undefined {
  const waitMs = scheduleMs[attempt - 1];
  if (waitMs === undefined) return undefined;
  return jitter(waitMs, random);
}

/** Spreads a wait. `random` is a number in [0, 1). */
export function jitter(waitMs: number, random: number): number {
  return Math.round(waitMs * (1 - JITTER + 2 * JITTER * random));
}
