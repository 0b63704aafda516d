import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { measureCommits } from './load/commits.ts';
import { startEcho } from './load/echo.ts';
import { openInvoiceLoad } from './load/invoices.ts';
import type { InvoiceLoad } from './load/invoices.ts';
import { startCost } from './measuring/cost.ts';
import type { ProcessGroups } from './measuring/cost.ts';
import {
  cpuSecondsPer1000,
  cpuSecondsPer1000Of,
  inTurns,
  megabytesOf,
  perSecond,
  rateRatio,
} from './measuring/rounds.ts';
import type { Sample } from './measuring/rounds.ts';
import { ratios, spread } from './measuring/spread.ts';
import type { Latencies } from './measuring/spread.ts';
import { openServices } from './systems/services.ts';
import type { ServiceProcesses } from './systems/services.ts';

/** How many are made in a round at each concurrency; one at a time takes its time. */
const MUTATIONS = {
  quick: new Map([
    [1, 300],
    [16, 2_000],
    [128, 4_000],
    [512, 4_000],
  ]),
  usual: new Map([
    [1, 3_000],
    [16, 20_000],
    [128, 50_000],
    [512, 50_000],
  ]),
  full: new Map([
    [1, 10_000],
    [16, 100_000],
    [128, 200_000],
    [512, 200_000],
  ]),
} as const;
const ROUNDS = { quick: 1, usual: 3, full: 5 } as const;

interface TimedSample extends Sample {
  readonly latencies: Latencies;
}

interface Measured {
  readonly system: ServiceProcesses;
  readonly load: InvoiceLoad;
  readonly echo: InvoiceLoad;
  readonly echoProcesses: ProcessGroups;
}

/**
 * CreateInvoice over gRPC, each answered when it is durable. In turns with it, the same calls to a
 * server that stores nothing; and one commit after the other, which is what a single client waits for.
 */
export async function measureMutations(run: BenchmarkRun): Promise<readonly Table[]> {
  await using system = await openServices(run);
  await using echoServer = await startEcho(run);
  await system.start(system.copiesOf('invoice'));
  using load = openInvoiceLoad(system.addresses.invoice);
  using echo = openInvoiceLoad(echoServer.address);
  const measured = { system, load, echo, echoProcesses: { echo: [echoServer.pid] } };
  const rows: Row[] = [];
  for (const [concurrency, mutations] of MUTATIONS[run.size]) {
    run.say(`concurrency ${concurrency}`);
    rows.push(await measureConcurrency(run, measured, { concurrency, mutations }));
  }
  return [{ title: 'Invoices created', rows }];
}

async function measureConcurrency(
  run: BenchmarkRun,
  { system, load, echo, echoProcesses }: Measured,
  amount: { readonly concurrency: number; readonly mutations: number },
): Promise<Row> {
  const create = () => timed(system.processes(), () => load.create(amount));
  const call = () => timed(echoProcesses, () => echo.create(amount));
  const commit = () =>
    timed(system.processes(), () => measureCommits(system.pool, amount.mutations));
  const isSingle = amount.concurrency === 1;
  const measures = isSingle ? [create, call, commit] : [create, call];
  // So that the machine code of the hot paths is there before anything counts.
  await inTurns(1, measures);
  const rounds = run.rounds ?? ROUNDS[run.size];
  const [created = [], called = [], committed = []] = await inTurns(rounds, measures);
  const floorMs = called.map(({ latencies }, round) => {
    return latencies.p50Ms + (committed[round]?.latencies.p50Ms ?? Number.NaN);
  });
  return {
    concurrency: amount.concurrency,
    mutationsPerSecond: perSecond(created),
    echoesPerSecond: perSecond(called),
    ratioToEcho: rateRatio(created, called),
    p50Ms: spread(created.map(({ latencies }) => latencies.p50Ms)),
    p99Ms: spread(created.map(({ latencies }) => latencies.p99Ms)),
    echoP50Ms: spread(called.map(({ latencies }) => latencies.p50Ms)),
    commitP50Ms: spread(committed.map(({ latencies }) => latencies.p50Ms)),
    p50ToCommitAndEcho: ratios(
      created.map(({ latencies }) => latencies.p50Ms),
      floorMs,
    ),
    cpuSecondsPer1000Mutations: cpuSecondsPer1000(created),
    invoiceCpuSecondsPer1000: cpuSecondsPer1000Of(created, 'invoice'),
    postgresCpuSecondsPer1000: cpuSecondsPer1000Of(created, 'postgres'),
    cpuSecondsPer1000Echoes: cpuSecondsPer1000(called),
    invoiceMegabytes: megabytesOf(created, 'invoice'),
    postgresMegabytes: megabytesOf(created, 'postgres'),
  };
}

async function timed(
  processes: ProcessGroups,
  work: () => Promise<{ readonly seconds: number; readonly latencies: Latencies }>,
): Promise<TimedSample> {
  const endCost = startCost(processes);
  const { seconds, latencies } = await work();
  return { units: latencies.count, seconds, latencies, cost: endCost() };
}
