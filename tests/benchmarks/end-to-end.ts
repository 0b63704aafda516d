import { whyNoKafka } from '@billhook/embedded-kafka';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { measureCommits } from './load/commits.ts';
import { startEcho } from './load/echo.ts';
import { openInvoiceLoad } from './load/invoices.ts';
import type { InvoiceLoad } from './load/invoices.ts';
import { startRawSender } from './load/raw-sender.ts';
import type { RawSender } from './load/raw-sender.ts';
import { startCost } from './measuring/cost.ts';
import { cpuSecondsPer1000 } from './measuring/rounds.ts';
import type { Sample } from './measuring/rounds.ts';
import { ratios, spread } from './measuring/spread.ts';
import type { Latencies } from './measuring/spread.ts';
import { startReceiver } from './receiver/receiver.ts';
import type { Receiver } from './receiver/receiver.ts';
import { ofDefaultTenant, registerEndpoints, unregisterEndpoints } from './systems/endpoints.ts';
import type { MeasuredSystem } from './systems/measured-system.ts';
import { openServices } from './systems/services.ts';
import { openStandalone } from './systems/standalone.ts';
import type { EventLogKind } from './systems/storage.ts';
import { untilNothingWaits } from './systems/waiting.ts';

const ENDPOINTS = [1, 10] as const;
const SECONDS = { quick: 3, usual: 20, full: 60 } as const;
const ROUNDS = { quick: 1, usual: 3, full: 5 } as const;
/** What is made to find the greatest rate, at which so many wait for their answers at a time. */
const SEARCH = {
  mutations: { quick: 2_000, usual: 20_000, full: 20_000 },
  concurrency: 64,
} as const;
const PART_OF_MOST = 0.5;
/** How often a commit, an echo and a POST are made by themselves. */
const PARTS = { quick: 200, usual: 2_000, full: 5_000 } as const;
const MICROSECONDS = 1_000_000;

interface Measured {
  readonly system: MeasuredSystem;
  readonly receiver: Receiver;
  readonly load: InvoiceLoad;
  readonly echo: InvoiceLoad;
  readonly raw: RawSender;
}

interface EndToEndSample extends Sample {
  readonly latencies: Latencies;
}

/** What a webhook cannot be faster than, each by itself on the resting system. */
interface Parts {
  readonly commit: Latencies;
  readonly echo: Latencies;
  readonly post: Latencies;
}

/**
 * From the call of a mutation to its webhook, at half of the greatest rate, which is found first. In
 * turns with it: what one commit, one call and one POST take by themselves. In one process as after
 * `npm start`, and with Kafka where a broker can be had.
 */
export async function measureEndToEnd(run: BenchmarkRun): Promise<readonly Table[]> {
  const rows = await measureLog(run, 'postgres');
  const missing = await whyNoKafka();
  if (missing === undefined) rows.push(...(await measureLog(run, 'kafka')));
  else run.say(`Nothing is measured with Kafka. ${missing}`);
  return [{ title: 'From the call to the webhook', rows }];
}

async function measureLog(run: BenchmarkRun, log: EventLogKind): Promise<Row[]> {
  await using system = await openSystem(run, log);
  await using receiver = await startReceiver(run, { ports: Math.max(...ENDPOINTS) });
  await using raw = await startRawSender(run, receiver);
  await using echoServer = await startEcho(run);
  using load = openInvoiceLoad(system.addresses.invoice);
  using echo = openInvoiceLoad(echoServer.address);
  const measured = { system, receiver, load, echo, raw };
  const rows: Row[] = [];
  for (const endpoints of ENDPOINTS) {
    run.say(`${log}, ${endpoints} endpoints`);
    rows.push({ log, ...(await measureEndpoints(run, measured, endpoints)) });
  }
  return rows;
}

async function openSystem(run: BenchmarkRun, log: EventLogKind): Promise<MeasuredSystem> {
  if (log === 'postgres') return openStandalone(run);
  const system = await openServices(run, { log });
  await system.start();
  return system;
}

async function measureEndpoints(
  run: BenchmarkRun,
  measured: Measured,
  endpoints: number,
): Promise<Row> {
  const { system, receiver } = measured;
  const registered = await registerEndpoints(system, receiver, ofDefaultTenant(endpoints));
  const most = await findMost(run, measured);
  const load = { perSecond: Math.floor(most * PART_OF_MOST), seconds: SECONDS[run.size] };
  const samples: EndToEndSample[] = [];
  const parts: Parts[] = [];
  for (let round = 0; round < (run.rounds ?? ROUNDS[run.size]); round += 1) {
    samples.push(await offer(measured, load, endpoints));
    parts.push(await measureParts(measured, PARTS[run.size]));
  }
  await unregisterEndpoints(system, receiver, registered);
  return {
    endpoints,
    mostEventsPerSecond: most,
    offeredPerSecond: load.perSecond,
    ...describe(samples, parts),
  };
}

/** The rate at which the last of three loads went through; those before warm up. */
async function findMost(run: BenchmarkRun, measured: Measured): Promise<number> {
  const { system, receiver, load } = measured;
  const mutations = SEARCH.mutations[run.size];
  let perSecond = 0;
  for (let time = 0; time < 3; time += 1) {
    await receiver.reset();
    const { startedAtMicros } = await load.create({ mutations, concurrency: SEARCH.concurrency });
    const { lastAtMicros } = await receiver.waitFor(mutations);
    perSecond = mutations / ((lastAtMicros - startedAtMicros) / MICROSECONDS);
    await untilNothingWaits(system);
  }
  return perSecond;
}

async function offer(
  { system, receiver, load }: Measured,
  rate: { readonly perSecond: number; readonly seconds: number },
  endpoints: number,
): Promise<EndToEndSample> {
  await receiver.reset();
  const endCost = startCost(system.processes());
  const { mutations, startedAtMicros } = await load.offer(rate);
  const { lastAtMicros, latencies } = await receiver.waitFor(mutations);
  await untilNothingWaits(system);
  const seconds = (lastAtMicros - startedAtMicros) / MICROSECONDS;
  return { units: mutations * endpoints, seconds, cost: endCost(), latencies };
}

async function measureParts({ system, echo, raw }: Measured, times: number): Promise<Parts> {
  const commit = (await measureCommits(system.pool, times)).latencies;
  const echoed = (await echo.create({ mutations: times, concurrency: 1 })).latencies;
  return { commit, echo: echoed, post: await raw.sendOneByOne(times) };
}

function describe(samples: readonly EndToEndSample[], parts: readonly Parts[]): Row {
  const p50Ms = samples.map(({ latencies }) => latencies.p50Ms);
  const partsP50Ms = parts.map(({ commit, echo, post }) => commit.p50Ms + echo.p50Ms + post.p50Ms);
  const partsP99Ms = parts.map(({ commit, echo, post }) => commit.p99Ms + echo.p99Ms + post.p99Ms);
  return {
    p50Ms: spread(p50Ms),
    p99Ms: spread(samples.map(({ latencies }) => latencies.p99Ms)),
    mostMs: spread(samples.map(({ latencies }) => latencies.maxMs)),
    commitP50Ms: spread(parts.map(({ commit }) => commit.p50Ms)),
    echoP50Ms: spread(parts.map(({ echo }) => echo.p50Ms)),
    postP50Ms: spread(parts.map(({ post }) => post.p50Ms)),
    partsP50Ms: spread(partsP50Ms),
    partsP99Ms: spread(partsP99Ms),
    p50ToParts: ratios(p50Ms, partsP50Ms),
    cpuSecondsPer1000Deliveries: cpuSecondsPer1000(samples),
    megabytes: spread(samples.map(({ cost }) => sumOf(cost.megabytesOf))),
  };
}

function sumOf(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((sum, value) => sum + value, 0);
}
