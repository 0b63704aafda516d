import { expect, test } from 'vitest';
import { QUICK_MS, timeToNormalMs } from './lane-rounds.ts';

const quick = (beganAtMs: number) => ({ beganAtMs, endedAtMs: beganAtMs + QUICK_MS });
const fault = { beganAtMs: 10_000, normalAtMs: 40_000 };

test('delivery that no round saw slow took no time to be normal again', () => {
  expect(timeToNormalMs([], fault)).toBe(0);
  expect(timeToNormalMs([quick(9_000), quick(12_000), quick(38_500)], fault)).toBe(0);
});

test('it was not normal until the last slow round ended', () => {
  const rounds = [
    quick(8_000),
    { beganAtMs: 9_500, endedAtMs: 20_000 },
    quick(20_250),
    { beganAtMs: 22_000, endedAtMs: 25_000 },
    quick(25_250),
  ];

  expect(timeToNormalMs(rounds, fault)).toBe(15_000);
});

test('rounds before the fault and after the end of its time are none of it', () => {
  const rounds = [
    { beganAtMs: 1_000, endedAtMs: 9_000 },
    { beganAtMs: 41_000, endedAtMs: 60_000 },
  ];

  expect(timeToNormalMs(rounds, fault)).toBe(0);
});
