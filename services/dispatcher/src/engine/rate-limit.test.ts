import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createRateLimit, noteSend, sendableAtMs } from './rate-limit.ts';

/** How far sends may run ahead of the rate. */
const BURST_MS = 50;

const rates = fc.oneof(
  fc.integer({ min: 1, max: 1_000 }),
  fc.double({ min: 0.01, max: 1, noNaN: true }),
);
/** How long after one attempt to send the next one is made. */
const pauses = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3_000 })),
  { minLength: 2, maxLength: 200 },
);

/** Sends whenever that is tried and allowed. Returns the times of the sends. */
function send(perSecond: number, pausesMs: readonly number[]): number[] {
  const limit = createRateLimit();
  const sendsMs: number[] = [];
  let nowMs = 0;
  for (const pauseMs of pausesMs) {
    nowMs += pauseMs;
    if (sendableAtMs(limit, perSecond) > nowMs) continue;
    noteSend(limit, perSecond, nowMs);
    sendsMs.push(nowMs);
  }
  return sendsMs;
}

describe('a rate limit', () => {
  test('lets no more go in any time than the rate allows, and a small burst', () => {
    fc.assert(
      fc.property(rates, pauses, (perSecond, pausesMs) => {
        const sendsMs = send(perSecond, pausesMs);
        for (const [first, fromMs] of sendsMs.entries()) {
          for (const [last, toMs] of sendsMs.entries()) {
            if (last < first) continue;
            const most = 1 + (perSecond * (toMs - fromMs + BURST_MS)) / 1_000;
            expect(last - first + 1).toBeLessThanOrEqual(most + 1e-6);
          }
        }
      }),
    );
  });

  test('lets go what the rate allows to whoever comes when it says', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 200 }), (perSecond, sends) => {
        const limit = createRateLimit();
        let nowMs = 1_000;
        for (let sent = 0; sent < sends; sent += 1) {
          nowMs = Math.max(nowMs, sendableAtMs(limit, perSecond));
          noteSend(limit, perSecond, nowMs);
        }
        expect(nowMs).toBeLessThanOrEqual(1_000 + (sends * 1_000) / perSecond);
      }),
    );
  });

  test('owes nobody anything for a time in which nothing was sent', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 0, max: 1_000_000 }), (perSecond, idleMs) => {
        const limit = createRateLimit();
        noteSend(limit, perSecond, 0);
        const atMs = 1_000 / perSecond + idleMs;
        expect(sendableAtMs(limit, perSecond)).toBeLessThanOrEqual(atMs);
        noteSend(limit, perSecond, atMs);
        expect(sendableAtMs(limit, perSecond)).toBeGreaterThanOrEqual(
          atMs + 1_000 / perSecond - BURST_MS,
        );
      }),
    );
  });

  test('counts at once when it is raised or lowered, also for what was sent before', () => {
    fc.assert(
      fc.property(rates, rates, fc.integer({ min: 1, max: 20 }), (before, after, sends) => {
        const limit = createRateLimit();
        for (let sent = 0; sent < sends; sent += 1) noteSend(limit, before, 0);
        expect(sendableAtMs(limit, after)).toBeCloseTo((sends * 1_000) / after - BURST_MS, 6);
      }),
    );
  });
});
