import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { adaptLimit, createConcurrencyLimit, type LimitSample } from './concurrency-limit.ts';

const MOST = 64;
const USUAL_MS = 20;

/** An answer as a receiver gives it, some time after the one before. */
interface Step {
  readonly afterMs: number;
  readonly sample: Omit<LimitSample, 'nowMs'>;
}

const durationsMs = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 10_000 }));
const outcomes = fc.constantFrom(
  { isGood: true, isOverload: false },
  { isGood: false, isOverload: true },
  // An answer that judges the delivery, not the receiver.
  { isGood: false, isOverload: false },
);
const steps: fc.Arbitrary<Step> = fc
  .tuple(fc.integer({ min: 0, max: 2_000 }), outcomes, durationsMs, fc.integer({ min: 1, max: 64 }))
  .map(([afterMs, outcome, durationMs, inFlight]) => ({
    afterMs,
    sample: { ...outcome, durationMs, inFlight },
  }));
const histories = fc.array(steps, { maxLength: 200 });

/** Lets a limit live through a history. Returns it, and when the last answer came. */
function live(history: readonly Step[], most = MOST, look?: (before: number, now: Seen) => void) {
  const limit = createConcurrencyLimit(MOST);
  let nowMs = 0;
  for (const { afterMs, sample } of history) {
    nowMs += afterMs;
    const { current, usualMs, shrunkAtMs } = limit;
    adaptLimit(limit, { ...sample, nowMs }, most);
    look?.(current, { current: limit.current, usualMs, shrunkAtMs, sample: { ...sample, nowMs } });
  }
  return { limit, nowMs };
}

/** The limit after an answer, with what it knew before. */
interface Seen {
  readonly current: number;
  readonly usualMs: number | undefined;
  readonly shrunkAtMs: number;
  readonly sample: LimitSample;
}

const good = (inFlight: number, nowMs: number): LimitSample => {
  return { isGood: true, isOverload: false, durationMs: USUAL_MS, inFlight, nowMs };
};
const overload = (durationMs: number, nowMs: number): LimitSample => {
  return { isGood: false, isOverload: true, durationMs, inFlight: 1, nowMs };
};

describe('the limit of an endpoint', () => {
  test('stays between one and the most, whatever the answers', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 8, max: 100 }), (history, most) => {
        live(history, most, (_, { current }) => {
          expect(current).toBeGreaterThanOrEqual(1);
          expect(current).toBeLessThanOrEqual(most);
        });
      }),
    );
  });

  test('changes by one at most upwards, and is halved at most downwards', () => {
    fc.assert(
      fc.property(histories, (history) => {
        live(history, MOST, (before, { current }) => {
          expect(current).toBeLessThanOrEqual(before + 1);
          expect(current).toBeGreaterThanOrEqual(Math.max(1, before / 2));
        });
      }),
    );
  });

  test('shrinks for an attempt only if that began after it shrank the last time', () => {
    fc.assert(
      fc.property(histories, (history) => {
        live(history, MOST, (before, { current, shrunkAtMs, sample }) => {
          const beganAtMs = sample.nowMs - sample.durationMs;
          if (current < before) expect(beganAtMs).toBeGreaterThanOrEqual(shrunkAtMs);
        });
      }),
    );
  });

  test('shrinks once in a round, however many of its attempts fail', () => {
    fc.assert(
      fc.property(histories, fc.array(durationsMs, { minLength: 1 }), (history, failures) => {
        const { limit, nowMs } = live(history);
        // All of them are under way when the first one fails.
        const beganAtMs = nowMs + 1;
        const endsMs = failures.map((ms) => beganAtMs + ms).toSorted((one, other) => one - other);
        const before = limit.current;
        for (const atMs of endsMs) adaptLimit(limit, overload(atMs - beganAtMs, atMs), MOST);
        expect(limit.current).toBe(Math.max(1, before / 2));
      }),
    );
  });

  test('grows only by good answers in usual time while at least half of it is used', () => {
    fc.assert(
      fc.property(histories, (history) => {
        live(history, MOST, (before, { current, usualMs, sample }) => {
          if (current <= before) return;
          expect(sample.isGood).toBe(true);
          expect(sample.inFlight * 2).toBeGreaterThanOrEqual(before);
          expect(sample.durationMs).toBeLessThanOrEqual(Math.max(500, 4 * (usualMs ?? Infinity)));
        });
      }),
    );
  });

  test('recovers in so many good answers as its square, from whatever was', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { limit, nowMs } = live(history);
        for (let answers = 0; answers < MOST * MOST; answers += 1) {
          adaptLimit(limit, good(Math.floor(limit.current), nowMs + answers), MOST);
        }
        expect(limit.current).toBe(MOST);
      }),
    );
  });

  test('doubles in each round until the receiver was overloaded for the first time', () => {
    const limit = createConcurrencyLimit(MOST);
    for (const size of [8, 16, 32]) {
      expect(limit.current).toBe(size);
      for (let answers = 0; answers < size; answers += 1) adaptLimit(limit, good(size, 0), MOST);
    }
    adaptLimit(limit, overload(USUAL_MS, 1_000), MOST);
    expect(limit.current).toBe(32);
    for (let answers = 0; answers < 33; answers += 1) adaptLimit(limit, good(32, 1_001), MOST);
    expect(limit.current).toBeGreaterThan(33 - 0.1);
    expect(limit.current).toBeLessThan(33.1);
  });

  test('takes an answer for slow only beyond half a second', () => {
    const limit = createConcurrencyLimit(MOST);
    adaptLimit(limit, good(8, 0), MOST);
    adaptLimit(limit, { ...good(8, 1_000), durationMs: 500 }, MOST);
    expect(limit.current).toBe(10);
    adaptLimit(limit, { ...good(8, 3_000), durationMs: 501 }, MOST);
    expect(limit.current).toBe(5);
  });
});
