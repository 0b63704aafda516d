import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait before trying again. */
export interface BackoffRange {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Waits before a repeat: twice as long after each failure, up to a limit, and a random part of
 * that, so that many who failed together do not come back together. An abort cuts it short.
 *
 * @param failures how often it failed so far; the wait after the first is `firstMs` at most.
 */
export async function backOff(
  range: BackoffRange,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  const longestMs = Math.min(range.longestMs, range.firstMs * 2 ** Math.max(0, failures - 1));
  const waitMs = longestMs / 2 + (Math.random() * longestMs) / 2;
  await sleep(waitMs, undefined, { signal }).catch(() => undefined);
}
