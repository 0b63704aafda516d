import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from '../system/free-ports.ts';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { openInvoiceLoad } from './load/invoices.ts';
import { startCost } from './measuring/cost.ts';
import {
  cpuSecondsPer1000,
  inTurns,
  megabytesOf,
  perSecond,
  rateRatio,
} from './measuring/rounds.ts';
import type { Sample } from './measuring/rounds.ts';
import { pooledQuantile, pooledRatio } from './measuring/spread.ts';
import { BEHAVIOURS } from './receiver/behaviours.ts';
import type { Behaviour } from './receiver/behaviours.ts';
import { startReceiver } from './receiver/receiver.ts';
import { ofDefaultTenant, registerEndpoints, unregisterEndpoints } from './systems/endpoints.ts';
import { untilNothingWaits } from './systems/waiting.ts';
import { openStandalone } from './systems/standalone.ts';

/**
 * What the tenth endpoint is: `dead` is a port on which nobody listens. A `good` one shows what a tenth
 * endpoint costs the others in any case.
 */
type Neighbour = Behaviour | 'dead';

const [GOOD, ...BAD] = BEHAVIOURS;
const NEIGHBOURS: readonly Neighbour[] = [GOOD, 'dead', ...BAD];

const HEALTHY = 9;
/**
 * Less than half of what two processors can do, the receivers and the caller included: what is to be seen
 * is the neighbour. Closer to what they can do, whoever asks for a bit of their time makes all wait longer.
 */
const PER_SECOND = 100;
/**
 * Many short rounds: what whoever else does on the machine hits the rounds of both, and the 99th percentile
 * is that of all rounds together.
 */
const SECONDS = { quick: 3, usual: 5, full: 5 } as const;
const ROUNDS = { quick: 1, usual: 12, full: 48 } as const;
const WARM_UP_SECONDS = 5;
/** A registration is work of its own: what is measured begins when it is done. */
const REST_MS = 250;
const P50 = 0.5;
const P99 = 0.99;
const MICROSECONDS = 1_000_000;

/** Short and tried often: the worse for the neighbours. */
const DEADLINE_SECONDS = 2;
const SETTINGS = {
  BILLHOOK_DELIVERY_TIMEOUT: `${DEADLINE_SECONDS}s`,
  BILLHOOK_RETRY_SCHEDULE: Array<string>(50).fill('1s').join(','),
};

interface NeighbourSample extends Sample {
  readonly latenciesMs: readonly number[];
  /** What came more than once. */
  readonly repeats: number;
}

/**
 * Nine healthy endpoints at a fixed rate of mutations, alone and beside a tenth, in turns on one system for
 * each way in which the tenth behaves.
 */
export async function measureNeighbours(run: BenchmarkRun): Promise<readonly Table[]> {
  const rows: Row[] = [];
  for (const neighbour of NEIGHBOURS) {
    run.say(`beside a neighbour that is ${neighbour}`);
    rows.push(await measureNeighbour(run, neighbour));
  }
  return [{ title: 'Nine healthy endpoints beside a tenth', rows }];
}

async function measureNeighbour(run: BenchmarkRun, neighbour: Neighbour): Promise<Row> {
  await using system = await openStandalone(run, SETTINGS);
  await using healthy = await startReceiver(run, { ports: HEALTHY });
  await using bad = await startNeighbour(run, neighbour);
  using load = openInvoiceLoad(system.addresses.invoice);
  await registerEndpoints(system, healthy, ofDefaultTenant(HEALTHY));

  async function offer(seconds: number): Promise<NeighbourSample> {
    await sleep(REST_MS);
    await healthy.reset();
    const endCost = startCost(system.processes());
    const { mutations, startedAtMicros } = await load.offer({ perSecond: PER_SECOND, seconds });
    const report = await healthy.waitFor(mutations);
    return {
      units: HEALTHY * mutations,
      repeats: report.requests - HEALTHY * mutations,
      seconds: (report.lastAtMicros - startedAtMicros) / MICROSECONDS,
      cost: endCost(),
      latenciesMs: await healthy.latencies(),
    };
  }

  const seconds = SECONDS[run.size];
  const measureAlone = () => offer(seconds);
  const measureBeside = async (): Promise<NeighbourSample> => {
    const endpoints = await registerEndpoints(system, bad, ofDefaultTenant(1));
    const sample = await offer(seconds);
    await unregisterEndpoints(system, bad, endpoints);
    await untilNothingWaits(system);
    return sample;
  };
  await offer(WARM_UP_SECONDS);
  const rounds = run.rounds ?? ROUNDS[run.size];
  const [alone = [], beside = []] = await inTurns(rounds, [measureAlone, measureBeside], {
    backAndForth: true,
  });
  return toRow(neighbour, alone, beside);
}

function toRow(
  neighbour: Neighbour,
  alone: readonly NeighbourSample[],
  beside: readonly NeighbourSample[],
): Row {
  const ofAlone = alone.map(({ latenciesMs }) => latenciesMs);
  const ofBeside = beside.map(({ latenciesMs }) => latenciesMs);
  const ratioAt = (part: number) => pooledRatio(ofBeside, ofAlone, { part, random: Math.random });
  return {
    neighbour,
    deliveriesPerSecondAlone: perSecond(alone),
    deliveriesPerSecond: perSecond(beside),
    rateRatio: rateRatio(beside, alone),
    p50MsAlone: pooledQuantile(ofAlone, P50),
    p50Ms: pooledQuantile(ofBeside, P50),
    p50Ratio: ratioAt(P50),
    p99MsAlone: pooledQuantile(ofAlone, P99),
    p99Ms: pooledQuantile(ofBeside, P99),
    p99Ratio: ratioAt(P99),
    repeats: beside.reduce((sum, sample) => sum + sample.repeats, 0),
    cpuSecondsPer1000Alone: cpuSecondsPer1000(alone),
    cpuSecondsPer1000: cpuSecondsPer1000(beside),
    billhookMegabytes: megabytesOf(beside, 'billhook'),
  };
}

/** What is registered as the tenth endpoint, in a process of its own. */
interface NeighbourReceiver extends AsyncDisposable {
  readonly origins: readonly string[];
  expect(): Promise<void>;
  forget(): Promise<void>;
}

async function startNeighbour(run: BenchmarkRun, neighbour: Neighbour): Promise<NeighbourReceiver> {
  // Nobody asks it what came.
  const silent = { expect: () => Promise.resolve(), forget: () => Promise.resolve() };
  if (neighbour === 'dead') {
    const [port] = await findFreePorts(1);
    const origins = [`http://127.0.0.1:${port}`];
    return { ...silent, origins, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const deadlineMs = DEADLINE_SECONDS * 1_000;
  return { ...(await startReceiver(run, { behaviour: neighbour, deadlineMs })), ...silent };
}
