import type { Cost } from './cost.ts';
import { ratios, spread } from './spread.ts';
import type { Spread } from './spread.ts';

/** What one round did, and what it cost. */
export interface Sample {
  /** Deliveries, or mutations. */
  readonly units: number;
  readonly seconds: number;
  readonly cost: Cost;
}

/**
 * Measures several things in turn, round by round, so that whatever else the machine does hits all of
 * them alike.
 *
 * @param options.backAndForth every second round goes the other way round, so that what comes later is
 *   not always the same.
 * @returns the samples of each, in the order of the measures.
 */
export async function inTurns<Taken>(
  rounds: number,
  measures: readonly (() => Promise<Taken>)[],
  { backAndForth = false }: { readonly backAndForth?: boolean } = {},
): Promise<Taken[][]> {
  const taken: Taken[][] = measures.map(() => []);
  const forth = [...measures.entries()];
  for (let round = 0; round < rounds; round += 1) {
    const turns = backAndForth && round % 2 === 1 ? forth.toReversed() : forth;
    for (const [index, measure] of turns) taken[index]?.push(await measure());
  }
  return taken;
}

export function perSecond(samples: readonly Sample[]): Spread {
  return spread(samples.map(rateOf));
}

/** How many times as fast the samples are as the others of their rounds. */
export function rateRatio(samples: readonly Sample[], to: readonly Sample[]): Spread {
  return ratios(samples.map(rateOf), to.map(rateOf));
}

/** CPU seconds of everything that worked for it: our processes, Postgres, and the broker. */
export function cpuSecondsPer1000(samples: readonly Sample[]): Spread {
  return spread(samples.map(costOf));
}

/** How many times as much a unit costs as in the others of their rounds. */
export function costRatio(samples: readonly Sample[], to: readonly Sample[]): Spread {
  return ratios(samples.map(costOf), to.map(costOf));
}

/** Of these, those of one group of processes. */
export function cpuSecondsPer1000Of(samples: readonly Sample[], group: string): Spread {
  return spread(
    samples.map(({ cost, units }) => ((cost.cpuSecondsOf[group] ?? 0) / units) * 1_000),
  );
}

/** The memory of a group of processes at the ends of the rounds. */
export function megabytesOf(samples: readonly Sample[], group: string): Spread {
  return spread(samples.map(({ cost }) => cost.megabytesOf[group] ?? Number.NaN));
}

function costOf({ cost, units }: Sample): number {
  return (cost.cpuSeconds / units) * 1_000;
}

function rateOf({ units, seconds }: Sample): number {
  return units / seconds;
}
