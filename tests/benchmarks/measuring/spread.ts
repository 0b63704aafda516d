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

/** A figure that has luck in it, and the interval in which it would lie nineteen times of twenty. */
export interface Estimate {
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

/** How often as many rounds are drawn from those that were measured. */
const RESAMPLES = 400;
const CONFIDENCE = 0.95;

/**
 * Compares a percentile of the durations of all rounds together with that of others, which were measured
 * in turns with them. Of how few pauses it is made up, the interval says: what comes of it when rounds are
 * drawn from these with replacement, the same of both (the bootstrap: Efron, "Bootstrap Methods: Another
 * Look at the Jackknife", 1979).
 *
 * @param part such as 0.99.
 * @param random in [0, 1).
 */
export function pooledRatio(
  rounds: readonly (readonly number[])[],
  to: readonly (readonly number[])[],
  { part, random }: { readonly part: number; readonly random: () => number },
): Estimate {
  const ratioOf = (indexes: readonly number[]) =>
    pooledQuantile(pick(rounds, indexes), part) / pooledQuantile(pick(to, indexes), part);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    ratioOf(rounds.map(() => Math.floor(random() * rounds.length))),
  );
  const sorted = ascending(drawn);
  return {
    value: ratioOf([...rounds.keys()]),
    from: quantile(sorted, (1 - CONFIDENCE) / 2, Math.round),
    to: quantile(sorted, (1 + CONFIDENCE) / 2, Math.round),
  };
}

/** A percentile of the durations of all rounds together. */
export function pooledQuantile(rounds: readonly (readonly number[])[], part: number): number {
  return quantile(ascending(rounds.flat()), part);
}

function pick<Round>(rounds: readonly Round[], indexes: readonly number[]): Round[] {
  return indexes.flatMap((index) => rounds.slice(index, index + 1));
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
