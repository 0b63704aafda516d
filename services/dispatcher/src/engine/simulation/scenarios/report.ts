import { describe } from './happenings.ts';
import { reduce, type Failed } from './reducing.ts';

/** Of a long trace, its end. */
const MOST_LINES = 400;

/**
 * Says what is the shortest way to a failure, line by line.
 *
 * @param mostRuns how many runs the search for it may take.
 */
export function reportOf(failed: Failed, mostRuns: number): string[] {
  const { scenario, played } = reduce(failed, mostRuns);
  const { happenings, world } = scenario;
  const lines = played.lines.slice(-MOST_LINES);
  return [
    `Seed ${failed.scenario.seed} fails: ${failed.played.failure.message}`,
    `In a smaller world: ${played.failure.message}`,
    JSON.stringify(world),
    `${happenings.length} of ${failed.scenario.happenings.length} happenings are left:`,
    ...happenings.map(
      ({ afterMs, ...happening }) => `  ${afterMs} ms later: ${describe(happening)}`,
    ),
    `The last ${lines.length} steps:`,
    ...lines.map((line) => `  ${line}`),
  ];
}
