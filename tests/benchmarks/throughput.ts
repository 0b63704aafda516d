import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { openInvoiceLoad } from './load/invoices.ts';
import type { InvoiceLoad } from './load/invoices.ts';
import { startRawSender } from './load/raw-sender.ts';
import type { RawSender } from './load/raw-sender.ts';
import { startCost } from './measuring/cost.ts';
import {
  cpuSecondsPer1000,
  inTurns,
  megabytesOf,
  perSecond,
  rateRatio,
} from './measuring/rounds.ts';
import type { Sample } from './measuring/rounds.ts';
import { spread } from './measuring/spread.ts';
import type { Latencies } from './measuring/spread.ts';
import { startReceiver } from './receiver/receiver.ts';
import type { Receiver } from './receiver/receiver.ts';
import { ofDefaultTenant, registerEndpoints, unregisterEndpoints } from './systems/endpoints.ts';
import type { MeasuredSystem } from './systems/measured-system.ts';
import { openStandalone } from './systems/standalone.ts';
import { untilNothingWaits } from './systems/waiting.ts';

const ENDPOINTS = [1, 10] as const;
const CONCURRENCIES = [32, 128] as const;
const MUTATIONS = { quick: 2_000, usual: 20_000, full: 100_000 } as const;
const ROUNDS = { quick: 1, usual: 3, full: 5 } as const;
const MICROSECONDS = 1_000_000;

interface Setting {
  readonly endpoints: number;
  readonly concurrency: number;
  readonly mutations: number;
}

interface ThroughputSample extends Sample {
  /** From the call of the mutation to the webhook. */
  readonly latencies: Latencies | undefined;
}

interface Measured {
  readonly system: MeasuredSystem;
  readonly receiver: Receiver;
  readonly load: InvoiceLoad;
  readonly raw: RawSender;
}

/**
 * CreateInvoice over gRPC until every webhook has arrived, with everything on this machine: the client,
 * the system, Postgres and the receiver. In turns with it, the same without endpoints, so that nothing
 * is sent, and a process that does nothing but send as many webhooks.
 */
export async function measureThroughput(run: BenchmarkRun): Promise<readonly Table[]> {
  await using system = await openStandalone(run);
  await using receiver = await startReceiver(run, { ports: Math.max(...ENDPOINTS) });
  await using raw = await startRawSender(run, receiver);
  using load = openInvoiceLoad(system.addresses.invoice);
  const measured = { system, receiver, load, raw };
  const mutations = MUTATIONS[run.size];
  // So that the machine code of the hot paths is there before anything counts.
  await measureOnce(measured, { endpoints: Math.max(...ENDPOINTS), concurrency: 32, mutations });
  await raw.send(mutations);

  const rows: Row[] = [];
  for (const endpoints of ENDPOINTS) {
    for (const concurrency of CONCURRENCIES) {
      run.say(`${endpoints} endpoints, concurrency ${concurrency}`);
      const rounds = run.rounds ?? ROUNDS[run.size];
      rows.push(await measureSetting(measured, { endpoints, concurrency, mutations }, rounds));
    }
  }
  return [{ title: 'From the first call to the last webhook', rows }];
}

async function measureSetting(measured: Measured, setting: Setting, rounds: number): Promise<Row> {
  const { endpoints, concurrency, mutations } = setting;
  const measureRaw = async (): Promise<ThroughputSample> => {
    return { ...(await measured.raw.send(mutations * endpoints)), latencies: undefined };
  };
  const [delivered = [], unsent = [], raw = []] = await inTurns(rounds, [
    () => measureOnce(measured, setting),
    () => measureOnce(measured, { ...setting, endpoints: 0 }),
    measureRaw,
  ]);
  const events = delivered.map((sample) => ({ ...sample, units: mutations }));
  return {
    endpoints,
    concurrency,
    eventsPerSecond: perSecond(events),
    deliveriesPerSecond: perSecond(delivered),
    eventsPerSecondWithoutEndpoints: perSecond(unsent),
    rawDeliveriesPerSecond: perSecond(raw),
    ratioToWithoutEndpoints: rateRatio(events, unsent),
    ratioToRaw: rateRatio(delivered, raw),
    cpuSecondsPer1000Deliveries: cpuSecondsPer1000(delivered),
    cpuSecondsPer1000EventsWithoutEndpoints: cpuSecondsPer1000(unsent),
    cpuSecondsPer1000RawDeliveries: cpuSecondsPer1000(raw),
    p50Ms: spread(delivered.map(({ latencies }) => latencies?.p50Ms ?? Number.NaN)),
    p99Ms: spread(delivered.map(({ latencies }) => latencies?.p99Ms ?? Number.NaN)),
    billhookMegabytes: megabytesOf(delivered, 'billhook'),
    postgresMegabytes: megabytesOf(delivered, 'postgres'),
  };
}

/** Without endpoints the time ends with the last answer, with them with the last webhook. */
async function measureOnce(
  { system, receiver, load }: Measured,
  { endpoints, concurrency, mutations }: Setting,
): Promise<ThroughputSample> {
  await receiver.reset();
  const registered = await registerEndpoints(system, receiver, ofDefaultTenant(endpoints));
  const endCost = startCost(system.processes());
  const { startedAtMicros, seconds } = await load.create({ mutations, concurrency });
  const report = endpoints === 0 ? undefined : await receiver.waitFor(mutations);
  // What is recorded after the last webhook belongs to the cost.
  await untilNothingWaits(system);
  const cost = endCost();
  await unregisterEndpoints(system, receiver, registered);
  return {
    units: mutations * Math.max(endpoints, 1),
    seconds:
      report === undefined ? seconds : (report.lastAtMicros - startedAtMicros) / MICROSECONDS,
    cost,
    latencies: report?.latencies,
  };
}
