/**
 * Spaces the sends to an endpoint, after the generic cell rate algorithm (ITU-T I.371): one number says
 * when the next send is due if all come at the rate, and a send may come a little before that.
 */
export interface RateLimit {
  /** When the next send is due at the rate, monotonic clock. */
  dueAtMs: number;
}

/** How far sends may run ahead, so that a timer that is late loses nothing. */
const BURST_MS = 50;

export function createRateLimit(): RateLimit {
  return { dueAtMs: -Infinity };
}

/** Says from when on a send may begin, monotonic clock; in the past when it may begin now. */
export function sendableAtMs({ dueAtMs }: RateLimit): number {
  return dueAtMs - BURST_MS;
}

/** Notes that a send begins. */
export function noteSend(limit: RateLimit, perSecond: number, nowMs: number): void {
  limit.dueAtMs = Math.max(limit.dueAtMs, nowMs) + 1_000 / perSecond;
}
