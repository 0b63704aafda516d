import type { BenchmarkRun, Table } from '../benchmark.ts';
import { measureEndpoints } from './endpoints.ts';
import { measureHistory } from './history.ts';
import { measureProcesses } from './processes.ts';

/**
 * What a delivery and a mutation cost as the system grows: by processes and lanes, by the events that
 * are in the log already, and by the endpoints that are registered. Few processors share the work of
 * many processes here: only the cost can stay the same, the rate cannot grow.
 */
export async function measureScale(run: BenchmarkRun): Promise<readonly Table[]> {
  return [await measureProcesses(run), await measureHistory(run), await measureEndpoints(run)];
}
