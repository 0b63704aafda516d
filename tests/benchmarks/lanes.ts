import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool, type Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { openLocalCluster } from '../cluster/local-cluster.ts';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import { chooseFreePlaces } from '../cluster/places.ts';
import { findFreePorts } from '../system/free-ports.ts';
import { createRestCalls } from '../system/rest-calls.ts';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { openInvoiceLoad } from './load/invoices.ts';
import { connectionsTo, cpuSecondsOf, residentMegabytes } from './measuring/process-usage.ts';
import { startReceiver } from './receiver/receiver.ts';

const LANES = {
  quick: [16],
  usual: [16, 64, 256, 512, 1_024],
  full: [16, 64, 256, 512, 1_024],
} as const;

/** So many that every lane gets some of them: a lane connects when it has something to send. */
const FIRST_EVENTS_PER_LANE = 12;
const MUTATIONS = 10_000;
const CONCURRENCY = 128;
const POLL_MS = 20;
const REST_MS = 10_000;

/** What so many lanes cost, with one copy of each service. */
interface LanesRow {
  readonly lanes: number;
  /** From the start of the services until the relay and the dispatcher own all lanes. */
  readonly ownedSeconds: number;
  /** From a stop of both until both own all lanes again. */
  readonly restartSeconds: number;
  /** Until every webhook of a load has arrived. */
  readonly eventsPerSecond: number;
  readonly invoiceMegabytes: number;
  readonly dispatcherMegabytes: number;
  readonly brokerMegabytes: number;
  readonly invoiceBrokerConnections: number;
  readonly dispatcherBrokerConnections: number;
  /** Percent of one core that each takes while nothing happens. */
  readonly invoiceIdlePercent: number;
  readonly dispatcherIdlePercent: number;
  readonly brokerIdlePercent: number;
}

/** Events from the invoice service through Kafka to one endpoint, with more and more lanes. */
export async function measureLanes(run: BenchmarkRun): Promise<readonly Table[]> {
  const rows: Row[] = [];
  for (const lanes of LANES[run.size]) {
    const row = await measureCluster(run, lanes);
    run.say(JSON.stringify(row));
    rows.push({ ...row });
  }
  return [{ title: 'What lanes cost', rows }];
}

async function measureCluster(run: BenchmarkRun, lanes: number): Promise<LanesRow> {
  await using cleanUp = new AsyncDisposableStack();
  run.opened.use(cleanUp);
  await using receiver = await startReceiver(run);
  const { local, brokerPort } = await openCluster(lanes, cleanUp);
  const pool = openPool(local);
  cleanUp.defer(() => pool.end());
  const { cluster, broker } = local;
  const [invoice] = cluster.copiesOf('invoice');
  const [dispatcher] = cluster.copiesOf('dispatcher');
  if (invoice === undefined || dispatcher === undefined) throw new Error('a copy is missing');

  let startedAtMs = performance.now();
  await cluster.start();
  await untilOwned(pool, lanes);
  const ownedSeconds = secondsSince(startedAtMs);

  const { addresses } = cluster;
  const path = '/ok';
  const { secret = '' } = await createRestCalls(addresses.gateway).register(
    '*',
    `${receiver.origins[0]}${path}`,
  );
  await receiver.expect([{ path, secret }]);
  using load = openInvoiceLoad(addresses.invoice);
  const first = FIRST_EVENTS_PER_LANE * lanes;
  await load.create({ mutations: first, concurrency: CONCURRENCY });
  await receiver.waitFor(first);
  startedAtMs = performance.now();
  await load.create({ mutations: MUTATIONS, concurrency: CONCURRENCY });
  await receiver.waitFor(first + MUTATIONS);
  const seconds = secondsSince(startedAtMs);

  const pids = [invoice.pid ?? 0, dispatcher.pid ?? 0, broker.pid ?? 0] as const;
  const before = pids.map((pid) => cpuSecondsOf([pid]));
  await sleep(REST_MS);
  const idlePercents = pids.map((pid, index) =>
    Math.round(((cpuSecondsOf([pid]) - (before[index] ?? 0)) / REST_MS) * 100_000),
  );
  const usage = {
    invoiceMegabytes: residentMegabytes(pids[0]),
    dispatcherMegabytes: residentMegabytes(pids[1]),
    brokerMegabytes: residentMegabytes(pids[2]),
    invoiceBrokerConnections: connectionsTo(brokerPort, pids[0]),
    dispatcherBrokerConnections: connectionsTo(brokerPort, pids[1]),
    invoiceIdlePercent: idlePercents[0] ?? Number.NaN,
    dispatcherIdlePercent: idlePercents[1] ?? Number.NaN,
    brokerIdlePercent: idlePercents[2] ?? Number.NaN,
  };

  startedAtMs = performance.now();
  await Promise.all([invoice.stop('SIGTERM'), dispatcher.stop('SIGTERM')]);
  await cluster.start([invoice, dispatcher]);
  await untilOwned(pool, lanes);
  return {
    lanes,
    ownedSeconds,
    restartSeconds: secondsSince(startedAtMs),
    eventsPerSecond: Math.round(MUTATIONS / seconds),
    ...usage,
  };
}

async function openCluster(
  lanes: number,
  cleanUp: AsyncDisposableStack,
): Promise<{ readonly local: LocalCluster; readonly brokerPort: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-lanes-'));
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
  // Open to other users, because Postgres does not run as root.
  await chmod(folder, 0o755);
  const [postgresPort = 0, brokerPort = 0] = await findFreePorts(2);
  const places = await chooseFreePlaces({ subscription: 1, invoice: 1, dispatcher: 1, gateway: 1 });
  const settings = { BILLHOOK_LANES: String(lanes), BILLHOOK_LOG_LEVEL: 'warn' };
  const local = await openLocalCluster(
    { folder, places, postgresPort, brokerPort, settings },
    { output: () => undefined, log: (line) => console.error(line) },
  );
  cleanUp.defer(() => local.kill());
  return { local, brokerPort };
}

function openPool({ postgres }: LocalCluster): Pool {
  return createPool({
    connectionString: postgres.connectionString,
    applicationName: 'billhook-benchmark',
    maxConnections: 1,
    log: createLog({ level: 'silent', service: 'benchmark' }),
  });
}

/** Waits until the relay and the dispatcher each own all lanes. */
async function untilOwned(pool: Pool, lanes: number): Promise<void> {
  for (;;) {
    const result = await pool.query<{ owned: number }>(
      `select (select count(*) from invoice.lane_lease where owner <> '')::int +
         (select count(*) from dispatcher.lane_lease where owner <> '')::int as owned`,
    );
    if (result.rows[0]?.owned === 2 * lanes) return;
    await sleep(POLL_MS);
  }
}

function secondsSince(startedAtMs: number): number {
  return Math.round((performance.now() - startedAtMs) / 100) / 10;
}
