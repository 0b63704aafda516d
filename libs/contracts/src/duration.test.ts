import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readDurationMs, writeDurationMs } from './duration.ts';

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 315_576_000_000_000 }), (durationMs) => {
      expect(readDurationMs(writeDurationMs(durationMs))).toBe(durationMs);
    }),
  );
});

test('what is finer than a millisecond is seen', () => {
  expect(readDurationMs({ seconds: 1n, nanos: 500_000 })).toBe(1_000.5);
  expect(readDurationMs({ seconds: -1n, nanos: -500_000 })).toBe(-1_000.5);
});

test.each([
  ['has two signs', { seconds: 1n, nanos: -1 }],
  ['has two signs the other way', { seconds: -1n, nanos: 1 }],
  ['has more than a second of nanos', { seconds: 0n, nanos: 1_000_000_000 }],
  ['is longer than 10,000 years', { seconds: 315_576_000_001n, nanos: 0 }],
])('a message that %s is no span of time', (_, duration) => {
  expect(readDurationMs(duration)).toBeUndefined();
});
