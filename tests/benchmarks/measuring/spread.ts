/** What came of several rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Sums rounds up; NaN where there were none. */
export function spread(values: readonly number[]): Spread {
  const sorted = ascending(values);
  return {
    median: (quantile(sorted, 0.5) + quantile(sorted, 0.5, Math.floor)) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Compares round by round: what the machine did meanwhile hits both values of a round alike. */
export function ratios(values: readonly number[], to: readonly number[]): Spread {
  return spread(values.map((value, round) => value / (to[round] ?? Number.NaN)));
}

/** How long something took, often. */
export interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Sums durations up. */
export function summariseLatencies(valuesMs: readonly number[]): Latencies {
  const sorted = ascending(valuesMs);
  return {
    count: sorted.length,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? Number.NaN,
  };
}

function ascending(values: readonly number[]): Float64Array {
  // It sorts numbers as numbers, and millions of them in no time.
  return Float64Array.from(values).toSorted();
}

function quantile(
  sorted: Float64Array,
  part: number,
  round: (index: number) => number = Math.ceil,
): number {
  return sorted[round((sorted.length - 1) * part)] ?? Number.NaN;
}
