import { ServiceError } from '@billhook/runtime';
import type { Pool } from '@billhook/postgres';
import { startPostgresProxy, useTestDatabase } from '@billhook/testing';
import type { CommitFate, PostgresProxy } from '@billhook/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import {
  keyOf,
  LANES,
  LIMIT,
  migrateCounters,
  openCounters,
  openPool,
  readCounters,
  requestOf,
  SCHEMA,
} from './counters.fixture.ts';
import type { Counter, CounterStore } from './counters.fixture.ts';
import { prepareEventStore } from './prepare.ts';
import { readAll } from './reading.ts';

const RUNS = 40;
const MAX_TRIES = 20;
const CONTENDED_TURNS = 100;

const database = useTestDatabase();
let proxy: PostgresProxy;
/** What becomes of the next commits; those after them are answered. */
const fates: CommitFate[] = [];
/** What calls came to, over all runs. */
const seen = new Set<string>();
let pools: Pool[];
let stores: CounterStore[];
let tenants = 0;

/** Two processes on one database; both reach it through what breaks their commits. */
beforeAll(async () => {
  proxy = await startPostgresProxy(database.connectionString);
  proxy.onCommit(() => fates.shift() ?? 'answered');
  pools = [openPool(proxy.connectionString), openPool(proxy.connectionString)];
  pools.push(openPool(database.connectionString));
  await migrateCounters(pools[2]!);
  const prepared = await prepareEventStore(pools[2]!, {
    schema: SCHEMA,
    lanes: LANES,
    requestIdRetentionMs: 3_600_000,
  });
  await prepared.stop();
  stores = [openCounters(pools[0]!), openCounters(pools[1]!)];
});

afterAll(async () => {
  await Promise.all(stores.map((store) => store.stop()));
  await Promise.all(pools.map((pool) => pool.end()));
  await proxy.close();
});

interface Step {
  readonly process: number;
  readonly streamId: string;
  readonly by: number;
  readonly requestId: string | undefined;
  /** Everything before has been answered; otherwise it is under way at the same time. */
  readonly waits: boolean;
  readonly fault: CommitFate | undefined;
  readonly poison: string | undefined;
}

/** How the marks of commands begin on which the domain fails, and which Postgres cannot store. */
const POISONS = ['throws', 'U+0000:\0'];

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    process: fc.nat(1),
    streamId: fc.constantFrom('a', 'b', 'c', 'd'),
    by: fc.constantFrom(-2, -1, 0, 1, 1, 2),
    requestId: fc.option(fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5'), { nil: undefined }),
    waits: fc.boolean(),
    fault: rarely(fc.constantFrom<CommitFate>('lost', 'unanswered')),
    poison: rarely(fc.constantFrom(...POISONS)),
  }),
  { minLength: 1, maxLength: 40, size: 'max' },
);

function rarely<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.oneof({ arbitrary: fc.constant(undefined), weight: 7 }, { arbitrary, weight: 1 });
}

/** One call of a client, and what it was told. */
interface Call extends Step {
  readonly tenant: string;
  readonly mark: string;
  readonly outcome:
    | { readonly kind: 'answered'; readonly answer: Counter }
    | { readonly kind: 'refused'; readonly reason: string }
    | { readonly kind: 'unknown' };
}

test('two processes, repeats, poison and commits of unknown outcome keep every promise', async () => {
  let underWay = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(steps, (planned) => {
      underWay = runSteps(planned);
      return underWay;
    }),
    { numRuns: RUNS, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: false },
  );
  // A run that is interrupted goes on, and its faults would hit whatever comes next.
  await underWay;
  fates.length = 0;
  // The runs were such that all of it happened.
  const whatHappens = ['answered', 'unknown', 'OUT_OF_BOUNDS', 'REQUEST_ID_REUSED', 'INTERNAL'];
  expect([...seen]).toEqual(expect.arrayContaining(whatHappens));
});

async function runSteps(planned: readonly Step[]): Promise<void> {
  const tenant = `tenant-${(tenants += 1)}`;
  const calls = await carryOut(planned, tenant);
  const repeats = await repeatAll(calls);
  const later = await repeatAll(calls);
  checkAnswers([...calls, ...repeats], later);
  await checkEvents(tenant, [...calls, ...repeats, ...later]);
  await checkLanes();
}

test('two processes that change one stream at once decide one after the other', async () => {
  const tenant = 'contended';
  const turns = Array.from({ length: CONTENDED_TURNS }, (_, turn) => turn);
  const told = await Promise.all(
    [0, 1].map(async (process) => {
      const calls: Call[] = [];
      for (const turn of turns) {
        const by = turn % 2 === 0 ? 1 : -1;
        const step = { process, streamId: 'a', by, requestId: undefined, waits: true };
        const mark = `${process}-${turn}`;
        calls.push(await call({ ...step, fault: undefined, poison: undefined, tenant, mark }));
      }
      return calls;
    }),
  );
  expect(told.flat().every(({ outcome }) => outcome.kind === 'answered')).toBe(true);
  await checkEvents(tenant, told.flat());
  await checkLanes();
});

async function carryOut(planned: readonly Step[], tenant: string): Promise<Call[]> {
  const calls: Promise<Call>[] = [];
  for (const [index, step] of planned.entries()) {
    if (step.waits) await Promise.all(calls);
    if (step.fault !== undefined) fates.push(step.fault);
    // What a request asks for is the same at each repeat, except where an id is used again.
    const mark = step.requestId === undefined ? `call-${index}` : `${step.requestId}:${step.by}`;
    calls.push(call({ ...step, tenant, mark: `${step.poison ?? ''}${mark}` }));
  }
  return Promise.all(calls);
}

async function call(asked: Omit<Call, 'outcome'>): Promise<Call> {
  const outcome = await execute(asked);
  seen.add(outcome.kind === 'refused' ? outcome.reason : outcome.kind);
  return { ...asked, outcome };
}

async function execute(asked: Omit<Call, 'outcome'>): Promise<Call['outcome']> {
  const { process, tenant, streamId, by, mark, requestId, poison } = asked;
  try {
    const request = requestOf({ tenant, streamId, by, mark }, requestId);
    return { kind: 'answered', answer: await stores[process]!.execute(request) };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    // Nobody else pays for a command that cannot be stored. And a key that is violated would be
    // INTERNAL: the lock, not the key, must keep decisions apart.
    if (error.code === 'INTERNAL' && poison === undefined) throw error;
    if (error.code === 'UNAVAILABLE') return { kind: 'unknown' };
    return { kind: 'refused', reason: error.reason };
  }
}

/** Repeats every request that has an id at the other process, until it is told what became of it. */
async function repeatAll(calls: readonly Call[]): Promise<Call[]> {
  const repeatable = calls.filter(({ requestId }) => requestId !== undefined);
  return Promise.all(
    repeatable.map(async (asked) => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const repeat = await call({ ...asked, process: (asked.process + 1 + tries) % 2 });
        if (repeat.outcome.kind !== 'unknown') return repeat;
      }
      throw new Error('a repeat was never answered');
    }),
  );
}

/** A request gets the same answer whenever it is repeated; its id is taken for anything else. */
function checkAnswers(earlier: readonly Call[], later: readonly Call[]): void {
  const answers = new Map<string, { readonly mark: string; readonly answer: Counter }>();
  for (const { streamId, requestId, mark, outcome } of earlier) {
    if (requestId === undefined || outcome.kind !== 'answered') continue;
    const { answer } = outcome;
    const first = answers.get(`${streamId} ${requestId}`);
    if (first !== undefined) expect({ mark, answer }).toEqual(first);
    answers.set(`${streamId} ${requestId}`, { mark, answer });
  }
  for (const { streamId, requestId, mark, outcome } of later) {
    const kept = answers.get(`${streamId} ${requestId}`);
    if (kept === undefined) continue;
    if (kept.mark === mark) expect(outcome).toEqual({ kind: 'answered', answer: kept.answer });
    else expect(outcome).toEqual({ kind: 'refused', reason: 'REQUEST_ID_REUSED' });
  }
}

/** Streams rebuilt from their events are what the read model and the callers were told. */
async function checkEvents(tenant: string, calls: readonly Call[]): Promise<void> {
  const states = new Map<string, Counter>();
  const appended = new Map<string, Counter>();
  for await (const event of readAll(pools[2]!, SCHEMA)) {
    if (event.tenant !== tenant) continue;
    const [by, mark] = event.data.toString().split(' ');
    const before = states.get(keyOf(event)) ?? { value: 0, version: 0 };
    expect(event.version).toBe(before.version + 1);
    const after = { value: before.value + Number(by), version: event.version };
    expect(after.value).toBeGreaterThanOrEqual(0);
    expect(after.value).toBeLessThanOrEqual(LIMIT);
    states.set(keyOf(event), after);
    const request = `${event.streamId} ${mark}`;
    expect(appended.has(request), `a second event of ${request}`).toBe(false);
    appended.set(request, after);
  }
  const readModel = (await readCounters(pools[2]!)).filter((row) => row.tenant === tenant);
  expect(new Map(readModel.map((row) => [keyOf(row), row.value]))).toEqual(
    new Map([...states].map(([key, { value }]) => [key, value])),
  );
  for (const { streamId, by, mark, outcome } of calls) {
    const event = appended.get(`${streamId} ${mark}`);
    if (outcome.kind === 'answered' && by !== 0) expect(event).toEqual(outcome.answer);
    if (by === 0) expect(event).toBeUndefined();
  }
}

/** Positions have no gap, times never go back, and the lanes' rows say where they end. */
async function checkLanes(): Promise<void> {
  const ends = new Map<number, { readonly position: number; readonly recordedAtMs: number }>();
  for await (const { lane, position, recordedAtMs } of readAll(pools[2]!, SCHEMA)) {
    const before = ends.get(lane) ?? { position: 0, recordedAtMs: 0 };
    expect(position).toBe(before.position + 1);
    expect(recordedAtMs).toBeGreaterThanOrEqual(before.recordedAtMs);
    ends.set(lane, { position, recordedAtMs });
  }
  const { rows } = await pools[2]!.query<{ lane: number; position: bigint; recorded_at: Date }>(
    `select lane, position, recorded_at from ${SCHEMA}.lane where position > 0`,
  );
  const lanes = rows.map(({ lane, position, recorded_at: recordedAt }) => {
    return [lane, { position: Number(position), recordedAtMs: recordedAt.getTime() }] as const;
  });
  expect(new Map(lanes)).toEqual(ends);
}
