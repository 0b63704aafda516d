import type { Benchmark } from '../benchmark.ts';
import { measureEndpoints } from './endpoints.ts';
import { measureHistory } from './history.ts';
import { measureProcesses } from './processes.ts';

/**
 * What a delivery and a mutation cost as the system grows: by processes and lanes, by the events that
 * are in the log already, and by the endpoints that are registered; each by itself, because all of it
 * takes long. Few processors share the work of many processes here: only the cost can stay the same, the
 * rate cannot grow.
 */
export const scaleBenchmarks: Readonly<Record<string, Benchmark>> = {
  scale: async (run) => [
    await measureProcesses(run),
    await measureHistory(run),
    await measureEndpoints(run),
  ],
  'scale-processes': async (run) => [await measureProcesses(run)],
  'scale-history': async (run) => [await measureHistory(run)],
  'scale-endpoints': async (run) => [await measureEndpoints(run)],
};
