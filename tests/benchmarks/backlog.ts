import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { startRawSender } from './load/raw-sender.ts';
import type { RawSender } from './load/raw-sender.ts';
import { microsecondsNow, secondsSince } from './measuring/clock.ts';
import { startCost } from './measuring/cost.ts';
import { sampleMemory } from './measuring/memory-curve.ts';
import { cpuSecondsPer1000, inTurns, perSecond } from './measuring/rounds.ts';
import type { Sample } from './measuring/rounds.ts';
import { startReceiver } from './receiver/receiver.ts';
import type { Receiver } from './receiver/receiver.ts';
import { deliveriesOf, deliverPreloaded } from './systems/deliver-preloaded.ts';
import type { DeliveredEvents } from './systems/deliver-preloaded.ts';
import { registerEndpoints } from './systems/endpoints.ts';
import type { MeasuredSystem } from './systems/measured-system.ts';
import { preloadEvents } from './systems/preload.ts';
import { openStandalone } from './systems/standalone.ts';
import { eventsPassed, untilNothingWaits } from './systems/waiting.ts';

/** Each event belongs to an invoice of its own, and goes to all endpoints of its tenant. */
const BACKLOGS: Readonly<Record<BenchmarkRun['size'], DeliveredEvents>> = {
  quick: { tenants: namesOf(20), perTenant: 10, eventsPerTenant: 100 },
  usual: { tenants: namesOf(1_000), perTenant: 10, eventsPerTenant: 100 },
  full: { tenants: namesOf(10_000), perTenant: 1, eventsPerTenant: 100 },
};
/** Of what is delivered at once for comparison, in each round. */
const FRESH_EVENTS_PER_TENANT = 10;
const ROUNDS = 3;
const STEPS = 10;
const REST_MS = { quick: 5_000, usual: 60_000, full: 60_000 } as const;
const PORTS = 16;
const POLL_MS = 100;
/** The longest that a step may take. */
const STEP_TIMEOUT_MS = 20 * 60 * 1_000;

/** The process ends if its heap grows with the backlog; what lies outside of it shows in the curve. */
const HEAP_LIMIT_MEGABYTES = 300;
const SETTINGS = {
  NODE_OPTIONS: `--max-old-space-size=${HEAP_LIMIT_MEGABYTES}`,
  // Nothing may die while the receivers are away.
  BILLHOOK_RETRY_SCHEDULE: Array<string>(99).fill('5s').join(','),
};

interface Scene {
  readonly system: MeasuredSystem;
  readonly receiver: Receiver;
  readonly raw: RawSender;
  readonly backlog: DeliveredEvents;
  /** Adds a step to the curve, and tells of it. */
  readonly note: (step: Step) => void;
}

interface Step {
  readonly phase: string;
  readonly waiting: number;
  readonly delivered: number;
  /** Since the phase began. */
  readonly seconds: number;
}

/**
 * Deliveries that wait while their receivers are away, in a process with a limited heap; then the
 * receivers come back. In the same run, for comparison: deliveries of the same kind that need not wait,
 * and a process that does nothing but send.
 */
export async function measureBacklog(run: BenchmarkRun): Promise<readonly Table[]> {
  const backlog = BACKLOGS[run.size];
  await using system = await openStandalone(run, SETTINGS);
  await using receiver = await startReceiver(run, { ports: PORTS });
  await using raw = await startRawSender(run, receiver);
  const [pid = 0] = system.processes()['billhook'] ?? [];
  using memory = sampleMemory(pid);
  const curve: Row[] = [];
  const note = (step: Step): void => {
    const { median, max } = memory.step();
    curve.push({ ...step, medianMegabytes: median, mostMegabytes: max });
    run.say(`${step.phase}: ${step.waiting} wait, ${step.delivered} delivered, ${max} MB at most`);
  };
  const scene: Scene = { system, receiver, raw, backlog, note };

  const startedAtMicros = microsecondsNow();
  await registerEndpoints(system, receiver, backlog);
  const registered = { phase: 'registered', waiting: 0, delivered: 0 };
  note({ ...registered, seconds: secondsSince(startedAtMicros) });
  await receiver.leave();
  const filled = await fill(scene);
  await sleep(REST_MS[run.size]);
  const waiting = { phase: 'waiting', waiting: deliveriesOf(backlog), delivered: 0 };
  note({ ...waiting, seconds: REST_MS[run.size] / 1_000 });
  await receiver.comeBack();
  const drained = await drain(scene);
  const compared = await compare(scene, { filled, drained }, run.rounds ?? ROUNDS);
  return [
    { title: `Memory with a heap limit of ${HEAP_LIMIT_MEGABYTES} MB`, rows: curve },
    { title: 'After the receivers have come back', rows: [compared] },
  ];
}

/** Lets the backlog grow until every delivery of it waits. */
async function fill({ system, receiver, backlog, note }: Scene): Promise<Sample> {
  await receiver.reset();
  const { tenants, perTenant, eventsPerTenant } = backlog;
  const before = await eventsPassed(system);
  await preloadEvents(system, backlog);
  const endCost = startCost(system.processes());
  const startedAtMicros = microsecondsNow();
  let events = 0;
  for (const wanted of stepsTo(tenants.length * eventsPerTenant)) {
    if (events >= wanted) continue;
    events = await untilAtLeast(async () => (await eventsPassed(system)) - before, wanted);
    const seconds = secondsSince(startedAtMicros);
    note({ phase: 'filling', waiting: events * perTenant, delivered: 0, seconds });
  }
  const seconds = secondsSince(startedAtMicros);
  return { units: deliveriesOf(backlog), seconds, cost: endCost() };
}

/** Waits until everything has arrived and is recorded. */
async function drain({ system, receiver, backlog, note }: Scene): Promise<Sample> {
  const deliveries = deliveriesOf(backlog);
  const endCost = startCost(system.processes());
  const startedAtMicros = microsecondsNow();
  let delivered = 0;
  for (const wanted of stepsTo(deliveries)) {
    if (delivered >= wanted) continue;
    delivered = await untilAtLeast(async () => (await receiver.count()).requests, wanted);
    const seconds = secondsSince(startedAtMicros);
    note({ phase: 'draining', waiting: deliveries - delivered, delivered, seconds });
  }
  await receiver.waitFor(backlog.eventsPerTenant);
  await untilNothingWaits(system);
  return { units: deliveries, seconds: secondsSince(startedAtMicros), cost: endCost() };
}

async function compare(
  { system, receiver, raw, backlog }: Scene,
  { filled, drained }: { readonly filled: Sample; readonly drained: Sample },
  rounds: number,
): Promise<Row> {
  const fewer = { ...backlog, eventsPerTenant: FRESH_EVENTS_PER_TENANT };
  const [fresh = [], sent = []] = await inTurns(rounds, [
    () => deliverPreloaded({ system, receiver }, fewer),
    () => raw.send(deliveriesOf(fewer)),
  ]);
  const drainedPerSecond = perSecond([drained]).median;
  return {
    deliveries: drained.units,
    deliveriesPerSecond: drainedPerSecond,
    freshDeliveriesPerSecond: perSecond(fresh),
    rawDeliveriesPerSecond: perSecond(sent),
    ratioToFresh: drainedPerSecond / perSecond(fresh).median,
    ratioToRaw: drainedPerSecond / perSecond(sent).median,
    cpuSecondsPer1000Waiting: cpuSecondsPer1000([filled]),
    cpuSecondsPer1000Deliveries: cpuSecondsPer1000([drained]),
    cpuSecondsPer1000FreshDeliveries: cpuSecondsPer1000(fresh),
    postgresMegabytes: drained.cost.megabytesOf['postgres'] ?? Number.NaN,
  };
}

function stepsTo(count: number): readonly number[] {
  return Array.from({ length: STEPS }, (_, step) => Math.ceil((count * (step + 1)) / STEPS));
}

async function untilAtLeast(count: () => Promise<number>, wanted: number): Promise<number> {
  const giveUpAtMs = performance.now() + STEP_TIMEOUT_MS;
  for (;;) {
    const now = await count();
    if (now >= wanted) return now;
    if (performance.now() > giveUpAtMs) throw new Error(`it stays at ${now} of ${wanted}`);
    await sleep(POLL_MS);
  }
}

function namesOf(tenants: number): readonly string[] {
  return Array.from({ length: tenants }, (_, index) => `tenant-${index}`);
}
