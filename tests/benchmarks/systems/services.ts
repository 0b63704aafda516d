import { createCluster } from '../../cluster/cluster.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { chooseFreePlaces, SERVICES } from '../../cluster/places.ts';
import type { Copies } from '../../cluster/places.ts';
import type { BenchmarkRun } from '../benchmark.ts';
import type { ProcessGroups } from '../measuring/cost.ts';
import { DEFAULT_LANES } from './measured-system.ts';
import type { MeasuredSystem } from './measured-system.ts';
import { openStorage } from './storage.ts';
import type { EventLogKind } from './storage.ts';

/** A system of a process for each copy of each service. */
export interface ServiceProcesses extends MeasuredSystem, Pick<Cluster, 'copiesOf' | 'start'> {}

export interface ServicesOptions {
  readonly log?: EventLogKind;
  /** One of each unless said otherwise. */
  readonly copies?: Partial<Copies>;
  readonly lanes?: number;
}

const ONE_OF_EACH: Copies = { subscription: 1, invoice: 1, dispatcher: 1, gateway: 1 };

/** Makes the system with its storage. Its services are not started yet. */
export async function openServices(
  run: Pick<BenchmarkRun, 'opened' | 'say'>,
  { log = 'postgres', copies = {}, lanes = DEFAULT_LANES }: ServicesOptions = {},
): Promise<ServiceProcesses> {
  const opened = new AsyncDisposableStack();
  const storage = opened.use(await openStorage(run, log));
  run.opened.use(opened);
  const { folder, databaseUrl, guard, pool } = storage;
  const places = await chooseFreePlaces({ ...ONE_OF_EACH, ...copies });
  const env = { ...storage.env, BILLHOOK_LANES: String(lanes) };
  const cluster = createCluster(
    { folder, places, env, databaseUrl },
    {
      output: () => undefined,
      log: run.say,
      started: guard.watch,
      ended: guard.forget,
    },
  );
  opened.defer(() => cluster.kill());
  return {
    addresses: cluster.addresses,
    pool,
    lanes,
    copiesOf: (service) => cluster.copiesOf(service),
    start: (wanted) => cluster.start(wanted),
    processes: () => ({ ...runningIn(cluster), ...storage.processes }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The processes of each service that runs. */
function runningIn(cluster: Cluster): ProcessGroups {
  const groups = SERVICES.map((service): [string, number[]] => [
    service,
    cluster.copiesOf(service).flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
  ]);
  return Object.fromEntries(groups.filter(([, pids]) => pids.length > 0));
}
