import fc from 'fast-check';
import { expect, test } from 'vitest';

import { retryWaitMs } from './retry-schedule.ts';

test('each attempt has its wait, within a tenth to both sides', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 86_400_000 }), { minLength: 1, maxLength: 10 }),
      fc.nat(9),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (scheduleMs, index, random) => {
        const base = scheduleMs[index];
        const waitMs = retryWaitMs(scheduleMs, index + 1, random);
        if (base === undefined || waitMs === undefined) {
          expect(waitMs).toBe(base);
          return;
        }
        expect(waitMs).toBeGreaterThanOrEqual(Math.floor(base * 0.9));
        expect(waitMs).toBeLessThanOrEqual(Math.ceil(base * 1.1));
      },
    ),
  );
});

test('after the last wait there is none', () => {
  expect(retryWaitMs([5_000, 300_000], 3, 0.5)).toBeUndefined();
});
