import { expect, test } from 'vitest';
import { pooledQuantile, pooledRatio, ratios, spread, summariseLatencies } from './spread.ts';
import { formatTable } from './table.ts';

test('rounds are summed up by their median, and how far they lie apart', () => {
  expect(spread([30, 9, 100])).toEqual({ median: 30, min: 9, max: 100 });
  expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(spread([])).toEqual({ median: NaN, min: NaN, max: NaN });
});

test('ratios are made round by round', () => {
  expect(ratios([10, 40, 90], [10, 20, 30])).toEqual({ median: 2, min: 1, max: 3 });
});

test('one of a hundred durations is longer than the 99th percentile', () => {
  const durations = Array.from({ length: 1_000 }, (_, index) => 1_000 - index);

  expect(summariseLatencies(durations)).toEqual({
    count: 1_000,
    p50Ms: 501,
    p99Ms: 991,
    maxMs: 1_000,
  });
});

test('percentiles of all rounds are compared, and how far that is the luck of the rounds', () => {
  const calm = Array.from({ length: 99 }, () => 1);
  const rounds = [[...calm, 2], [...calm, 4], calm.concat(8)];
  expect(pooledQuantile(rounds, 0.999)).toBe(8);
  let draws = 0;
  const random = () => {
    draws += 1;
    return (draws * Math.SQRT2) % 1;
  };
  const twice = rounds.map((round) => round.map((duration) => 2 * duration));
  expect(pooledRatio(twice, rounds, { part: 0.99, random })).toEqual({ value: 2, from: 2, to: 2 });
  const lucky = [calm, calm, calm];
  const ratio = pooledRatio(rounds, lucky, { part: 1, random });
  expect(ratio).toMatchObject({ value: 8, to: 8 });
  expect(ratio.from).toBeLessThan(8);
});

test('a table names its columns in words, and shows what the rounds came to', () => {
  const rows = [
    {
      log: 'kafka',
      cpuSecondsPer1000Deliveries: spread([0.05, 0.0412, 0.07]),
      p99Ms: 12_345.6,
      p99Ratio: { value: 1.02, from: 0.981, to: 1.1 },
    },
    {
      log: 'postgres',
      cpuSecondsPer1000Deliveries: spread([2]),
      p99Ms: Number.NaN,
      p99Ratio: { value: Number.NaN, from: Number.NaN, to: Number.NaN },
    },
  ];

  expect(formatTable(rows).split('\n')).toEqual([
    '| log      | cpu seconds per 1000 deliveries | p99 ms | p99 ratio                  |',
    '| -------- | ------------------------------- | ------ | -------------------------- |',
    '| kafka    | 0.0500 (0.0412 to 0.0700)       | 12,346 | 1.02 (95 %: 0.981 to 1.10) |',
    '| postgres | 2                               | -      | -                          |',
  ]);
});
