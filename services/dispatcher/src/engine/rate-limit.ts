/**
 * Spaces the sends to an endpoint, after the generic cell rate algorithm (ITU-T I.371): it says when the
 * next send is due if all come at the rate, and a send may come a little before that. It is kept how
 * many sends were ahead of the rate, not when that is over: so another rate counts from the next moment on.
 */
export interface RateLimit {
  /** With the last send, so many were ahead of the rate, that one included. */
  ahead: number;
  /** When that was, monotonic clock. */
  sentAtMs: number;
}

/** How far sends may run ahead, so that a timer that is late loses nothing. */
const BURST_MS = 50;

export function createRateLimit(): RateLimit {
  return { ahead: 0, sentAtMs: -Infinity };
}

/** Says from when on a send may begin, monotonic clock; in the past when it may begin now. */
export function sendableAtMs({ ahead, sentAtMs }: RateLimit, perSecond: number): number {
  return sentAtMs + (ahead * 1_000) / perSecond - BURST_MS;
}

/** Notes that a send begins. */
export function noteSend(limit: RateLimit, perSecond: number, nowMs: number): void {
  const passed = ((nowMs - limit.sentAtMs) * perSecond) / 1_000;
  limit.ahead = Math.max(0, limit.ahead - passed) + 1;
  limit.sentAtMs = nowMs;
}
