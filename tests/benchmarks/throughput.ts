import { createStandalone } from '../system/standalone.ts';
import { createRestCalls } from '../system/rest-calls.ts';
import { createInvoices } from './load.ts';
import { cpuSecondsOf, residentMegabytes } from './process-usage.ts';
import { startReceiver } from './receiver.ts';

const WARM_UP = 2_000;
const MUTATIONS = 20_000;
const CONCURRENCY = 128;
const ROUNDS = 3;
const QUIET_MS = 20_000;

/** One round, with what it cost. */
export interface ThroughputRow {
  readonly endpoints: number;
  readonly mutationsPerSecond: number;
  /** Until every webhook has arrived. */
  readonly eventsPerSecond: number;
  readonly deliveriesPerSecond: number;
  /** All our processes and Postgres. */
  readonly cpuSecondsPer1000Deliveries: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMegabytes: number;
}

/** CreateInvoice over gRPC until every webhook has arrived, at 1 and at 10 endpoints. */
export async function measureThroughput(): Promise<ThroughputRow[]> {
  const rows: ThroughputRow[] = [];
  for (const endpoints of [1, 10]) {
    for (let round = 0; round < ROUNDS; round += 1) {
      const row = await measureRound(endpoints);
      console.log(JSON.stringify(row));
      rows.push(row);
    }
  }
  return rows;
}

async function measureRound(endpoints: number): Promise<ThroughputRow> {
  const receiver = await startReceiver();
  const system = await createStandalone({ BILLHOOK_LOG_LEVEL: 'error' });
  try {
    await system.start();
    const rest = createRestCalls(system.addresses.gateway);
    const paths = Array.from({ length: endpoints }, (_, index) => `/ok-${index}`);
    for (const path of paths) await rest.register('*', receiver.origin + path);
    const arrived = (count: number): Promise<number[]> =>
      Promise.all(paths.map((path) => receiver.waitFor(path, count, QUIET_MS)));
    const target = system.addresses.invoice;
    await createInvoices(target, { mutations: WARM_UP, concurrency: CONCURRENCY });
    await arrived(WARM_UP);

    const pids = [system.pid(), await system.postgresPid()];
    const cpuBefore = cpuSecondsOf(pids);
    const sampled = (await receiver.report()).latenciesMs.length;
    const startedAtMs = performance.now();
    const load = await createInvoices(target, { mutations: MUTATIONS, concurrency: CONCURRENCY });
    const counts = await arrived(WARM_UP + MUTATIONS);
    const seconds = (performance.now() - startedAtMs) / 1_000;
    if (counts.some((count) => count < WARM_UP + MUTATIONS))
      throw new Error('webhooks are missing');
    const deliveries = MUTATIONS * endpoints;
    const { latenciesMs } = await receiver.report();
    const latencies = latenciesMs.slice(sampled).toSorted((one, other) => one - other);
    return {
      endpoints,
      mutationsPerSecond: Math.round(load.mutations / load.seconds),
      eventsPerSecond: Math.round(MUTATIONS / seconds),
      deliveriesPerSecond: Math.round(deliveries / seconds),
      cpuSecondsPer1000Deliveries: round3(((cpuSecondsOf(pids) - cpuBefore) / deliveries) * 1_000),
      p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? Number.NaN,
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
      residentMegabytes: residentMegabytes(system.pid()),
    };
  } finally {
    await system.remove();
    receiver.close();
  }
}

function round3(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
