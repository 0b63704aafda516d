import { parseArgs } from 'node:util';

import { reportOf } from './report.ts';
import { playSeeds } from './seeds.ts';

const DEFAULT_SEEDS = '1000';
const DEFAULT_RUNS = '500';

/**
 * Runs the real engine in simulated worlds, one for each seed: `npm run simulate -- [--seeds N]
 * [--seed FIRST] [--runs N]`. The first seed that fails is reduced, by so many runs at most, and its
 * trace printed; the exit code is 1.
 */
const { seeds, seed, runs } = readArguments();
if (![seeds, seed, runs].every(Number.isInteger) || seeds < 1) {
  console.error('Usage: npm run simulate -- [--seeds NUMBER] [--seed FIRST] [--runs NUMBER]');
  process.exitCode = 2;
} else {
  process.exitCode = run();
}

/** @returns what is no number as NaN. */
function readArguments(): { readonly seeds: number; readonly seed: number; readonly runs: number } {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string', default: DEFAULT_SEEDS },
        seed: { type: 'string', default: '0' },
        runs: { type: 'string', default: DEFAULT_RUNS },
      },
    });
    return { seeds: Number(values.seeds), seed: Number(values.seed), runs: Number(values.runs) };
  } catch {
    return { seeds: NaN, seed: NaN, runs: NaN };
  }
}

/** @returns the exit code. */
function run(): number {
  const startMs = performance.now();
  const { played, failed, races, events, sends, simulatedMs } = playSeeds(seed, seeds);
  const seconds = (performance.now() - startMs) / 1_000;
  if (failed === undefined) {
    console.table(races.list());
    console.log('Every promise was kept.');
  } else {
    for (const line of reportOf(failed, runs)) console.log(line);
  }
  console.log(
    `${played} seeds from ${seed}: ${events} events and ${sends} sends, ` +
      `${(simulatedMs / 3_600_000).toFixed(1)} hours in ${seconds.toFixed(1)} s, ` +
      `${(played / seconds).toFixed(1)} seeds a second.`,
  );
  return failed === undefined ? 0 : 1;
}
