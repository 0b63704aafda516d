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

/** How many rounds are drawn anew, and which part of what comes of it lies in the interval. */
const RESAMPLES = 200;
const CONFIDENCE = 0.95;

/**
 * Compares a percentile of all durations together with that of others, which were measured in turns with
 * them. A percentile of few is the luck of a round; that of all rounds is not, and how far luck still
 * goes says the interval in which it lies nineteen times of twenty when rounds are drawn from these with
 * replacement (the bootstrap: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979).
 *
 * @param part such as 0.99.
 * @param random in [0, 1).
 * @returns the ratio, and the ends of the interval.
 */
export function pooledRatio(
  rounds: readonly (readonly number[])[],
  to: readonly (readonly number[])[],
  { part, random }: { readonly part: number; readonly random: () => number },
): Spread {
  const ratioOf = (indexes: readonly number[]) =>
    pooledQuantile(pick(rounds, indexes), part) / pooledQuantile(pick(to, indexes), part);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    ratioOf(rounds.map(() => Math.floor(random() * rounds.length))),
  );
  const sorted = ascending(drawn);
  return {
    median: ratioOf([...rounds.keys()]),
    min: quantile(sorted, (1 - CONFIDENCE) / 2, Math.round),
    max: quantile(sorted, (1 + CONFIDENCE) / 2, Math.round),
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
