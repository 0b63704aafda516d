import { listen, migrate } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import { ConfigurationError } from '@billhook/runtime';
import { startPostgresProxy, useTestDatabase } from '@billhook/testing';
import type { PostgresProxy } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';

import {
  LANES,
  migrateCounters,
  openCounters,
  openPool,
  requestOf,
  SCHEMA,
  silentLog,
} from './counters.fixture.ts';
import type { Counter, CounterStore } from './counters.fixture.ts';
import type { StoredEvent } from './event-store.ts';
import { laneOf } from './lane.ts';
import { eventStoreMigrations } from './migrations.ts';
import { prepareEventStore } from './prepare.ts';
import { readAll, readStream } from './reading.ts';

const TENANT = 'default';
const RETENTION = { requestIdRetentionMs: 3_600_000 };
const OVER_SIZE = 'x'.repeat(64 * 1024);

const database = useTestDatabase();
let proxy: PostgresProxy;
let pool: Pool;
let direct: Pool;
let streams = 0;
let streamId: string;

beforeAll(async () => {
  proxy = await startPostgresProxy(database.connectionString);
  pool = openPool(proxy.connectionString);
  direct = openPool(database.connectionString);
  await migrateCounters(direct);
});

beforeEach(async () => {
  streamId = `stream-${(streams += 1)}`;
  await (await prepare(LANES)).stop();
});

afterAll(async () => {
  await Promise.all([pool.end(), direct.end()]);
  await proxy.close();
});

function prepare(lanes: number): Promise<{ stop(): Promise<void> }> {
  return prepareEventStore(direct, { ...RETENTION, schema: SCHEMA, lanes });
}

/** Runs a test on a store of its own, which is stopped whatever becomes of it. */
async function withStore(
  work: (store: CounterStore) => Promise<void>,
  options: Parameters<typeof openCounters>[1] = {},
): Promise<void> {
  const store = openCounters(pool, options);
  try {
    await work(store);
  } finally {
    await store.stop();
  }
}

function add(store: CounterStore, mark: string, stream = streamId): Promise<Counter> {
  return store.execute(requestOf({ tenant: TENANT, streamId: stream, by: 1, mark }));
}

/** What a call was refused with. */
async function refusalOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'answered',
    (error: unknown) => error,
  );
}

function events(stream = streamId): Promise<readonly StoredEvent[]> {
  const query = { schema: SCHEMA, tenant: TENANT, streamId: stream, afterVersion: 0, limit: 100 };
  return readStream(direct, query);
}

test('a call whose deadline passed is not carried out, and the next one is', async () => {
  await withStore(async (store) => {
    const late = { ...requestOf({ tenant: TENANT, streamId, by: 1, mark: 'late' }), deadlineMs: 1 };
    expect(await refusalOf(store.execute(late))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await add(store, 'next')).toEqual({ value: 1, version: 1 });
  });
});

test('a call that is cancelled while it waits is not carried out', async () => {
  await withStore(async (store) => {
    const controller = new AbortController();
    const request = requestOf({ tenant: TENANT, streamId, by: 1, mark: 'cancelled' });
    const cancelled = refusalOf(store.execute({ ...request, signal: controller.signal }));
    controller.abort();
    expect(await cancelled).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(await events()).toHaveLength(0);
  });
});

test.each([
  { bound: 'so many commands', limits: { maxCommands: 2 } },
  { bound: 'so many bytes', limits: { maxBytes: 2 * '[1,"a"]'.length } },
])('no more than $bound wait, and those that wait are carried out', async ({ limits }) => {
  await withStore(
    async (store) => {
      const calls = ['a', 'b', 'c'].map((mark) => refusalOf(add(store, mark)));
      expect(await Promise.all(calls)).toMatchObject([
        'answered',
        'answered',
        { code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL' },
      ]);
      expect(await events()).toHaveLength(2);
      expect(await add(store, 'd')).toEqual({ value: 3, version: 3 });
    },
    { limits },
  );
});

test.each([
  { fault: 'that Postgres refuses', mark: 'U+0000: \0' },
  { fault: 'that the domain fails on', mark: 'throws' },
  { fault: 'whose event is too large', mark: OVER_SIZE },
])('a command $fault fails alone in its batch', async ({ mark }) => {
  await withStore(async (store) => {
    const neighbours = Array.from({ length: 8 }, (_, index) => `${streamId}-${index % 4}`);
    const calls = neighbours.map((stream, index) => add(store, `${index}`, stream));
    const guilty = refusalOf(add(store, mark));
    calls.push(...neighbours.map((stream, index) => add(store, `${index + 8}`, stream)));
    expect(await guilty).toMatchObject({ code: expect.stringMatching(/^IN/) });
    await Promise.all(calls);
    expect(await events()).toHaveLength(0);
    for (const stream of neighbours) {
      expect((await events(stream)).map(({ version }) => version)).toEqual([1, 2, 3, 4]);
    }
  });
});

test('whoever listens hears of an event before it is answered, also when a batch is split', async () => {
  await withStore(async (store) => {
    const heard = listenTo(store);
    const neighbours = Array.from({ length: 8 }, (_, index) => `${streamId}-${index}`);
    const calls = neighbours.map(async (stream) => {
      await add(store, 'split', stream);
      expect(heard).toContain(stream);
    });
    const refused = refusalOf(add(store, 'U+0000: \0'));
    await Promise.all(calls);
    await refused;
    expect(heard.toSorted()).toEqual(neighbours);
  });
});

test('whoever listens hears of a commit that was not answered', async () => {
  await withStore(async (store) => {
    const heard = listenTo(store);
    proxy.onCommit(() => 'unanswered');
    const outcome = await refusalOf(add(store, 'unanswered'));
    proxy.onCommit(() => 'answered');
    expect(outcome).toMatchObject({ code: 'UNAVAILABLE', reason: 'OUTCOME_UNKNOWN' });
    expect(heard).toEqual(['unknown']);
  });
});

/** Notes the streams of all events that are appended from now on. */
function listenTo(store: CounterStore): string[] {
  const heard: string[] = [];
  store.onCommitted((appended) => {
    if (appended === 'unknown') heard.push(appended);
    else heard.push(...appended.map((event) => event.streamId));
  });
  return heard;
}

test('the time of an event never goes back within its lane', async () => {
  await withStore(async (store) => {
    const lane = laneOf(TENANT, streamId, LANES);
    await add(store, 'before');
    const aheadMs = Date.now() + 60_000;
    const ahead = [lane, new Date(aheadMs)];
    await direct.query(`update ${SCHEMA}.lane set recorded_at = $2 where lane = $1`, ahead);
    const other = Array.from({ length: 50 }, (_, index) => `other-${index}`).find(
      (stream) => laneOf(TENANT, stream, LANES) !== lane,
    )!;
    await Promise.all([add(store, 'after'), add(store, 'elsewhere', other)]);
    const times = (await events()).map(({ recordedAtMs }) => recordedAtMs);
    expect(times[0]).toBeLessThan(aheadMs);
    expect(times[1]).toBe(aheadMs);
    // A lane whose clock ran ahead does not take others with it.
    expect((await events(other))[0]?.recordedAtMs).toBeLessThan(aheadMs);
    await direct.query(`update ${SCHEMA}.lane set recorded_at = now() where lane = $1`, [lane]);
  });
});

test('a connection that breaks before the commit leaves nothing behind', async () => {
  await withStore(async (store) => {
    const holder = await direct.connect();
    await holder.query('begin');
    await holder.query(`select from ${SCHEMA}.lane for update`);
    const call = refusalOf(add(store, 'lost'));
    await waitsForLock();
    proxy.cut();
    expect(await call).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE' });
    expect(await refusalOf(add(store, 'meanwhile'))).toMatchObject({ code: 'UNAVAILABLE' });
    proxy.mend();
    await holder.query('rollback');
    holder.release();
    expect(await add(store, 'again')).toEqual({ value: 1, version: 1 });
  });
});

async function waitsForLock(): Promise<void> {
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  await expect.poll(async () => (await direct.query(waiting)).rowCount).toBe(1);
}

test('a stop carries out what waits and refuses what comes', async () => {
  const store = openCounters(pool);
  let answered = 0;
  const calls = ['a', 'b', 'c'].map(async (mark) => {
    await add(store, mark);
    answered += 1;
  });
  const stopped = store.stop();
  expect(await refusalOf(add(store, 'd'))).toMatchObject({ code: 'UNAVAILABLE' });
  await stopped;
  expect(answered).toBe(3);
  await Promise.all(calls);
});

test('an append is heard of in the process and by others, and a commit of nothing in the process', async () => {
  let others = 0;
  const listener = await listen({
    connectionString: database.connectionString,
    channel: `${SCHEMA}_appended`,
    onNotify: () => (others += 1),
    log: silentLog,
  });
  onTestFinished(() => listener.close());
  await withStore(async (store) => {
    const own: number[] = [];
    store.onCommitted((appended) => own.push(appended.length));
    const outOfBounds = requestOf({ tenant: TENANT, streamId, by: -1, mark: 'refused' });
    await refusalOf(store.execute(outOfBounds));
    expect({ own, others }).toEqual({ own: [0], others: 1 });
    await add(store, 'appended');
    expect(own).toEqual([0, 1]);
    await expect.poll(() => others).toBe(2);
  });
});

test('the number of lanes is fixed when several processes make the store at once', async () => {
  const schema = 'several';
  await migrate(direct, { schema, migrations: eventStoreMigrations(schema) });
  const options = { ...RETENTION, schema, lanes: 8 };
  const prepared = await Promise.all([1, 2, 3].map(() => prepareEventStore(direct, options)));
  await Promise.all(prepared.map((preparation) => preparation.stop()));
  const { rows } = await direct.query<{ lane: number }>(
    `select lane from ${schema}.lane order by lane`,
  );
  expect(rows.map(({ lane }) => lane)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  await expect(prepareEventStore(direct, { ...options, lanes: 4 })).rejects.toThrow(
    /^BILLHOOK_LANES is 4, but .* 8 /,
  );
});

test('processes that make the store at once with different numbers of lanes make it once', async () => {
  const schema = 'disputed';
  await migrate(direct, { schema, migrations: eventStoreMigrations(schema) });
  const numbers = [600, 900, 600, 900];
  const attempts = numbers.map(async (lanes) => {
    await (await prepareEventStore(direct, { ...RETENTION, schema, lanes })).stop();
    return lanes;
  });
  const told = await Promise.all(attempts.map(refusalOf));
  const { rows } = await direct.query(`select lane from ${schema}.lane`);
  expect(numbers).toContain(rows.length);
  for (const [index, lanes] of numbers.entries()) {
    if (lanes === rows.length) expect(told[index]).toBe('answered');
    else expect(told[index]).toBeInstanceOf(ConfigurationError);
  }
});

test('a process that freezes while it holds lanes does not hold up others for long', async () => {
  const frozen = openPool(database.connectionString, 1);
  onTestFinished(() => frozen.end());
  const client = await frozen.connect();
  onTestFinished(() => client.release(true));
  await client.query(`begin; select from ${SCHEMA}.lane for update`);
  await withStore(async (store) => {
    expect(await add(store, 'after the frozen one')).toEqual({ value: 1, version: 1 });
  });
});

test('others are told of many appends a few times, and of the last one', async () => {
  const heardAtMs: number[] = [];
  const listener = await listen({
    connectionString: database.connectionString,
    channel: `${SCHEMA}_appended`,
    onNotify: () => heardAtMs.push(performance.now()),
    log: silentLog,
  });
  onTestFinished(() => listener.close());
  const beganMs = performance.now();
  let lastMs = 0;
  await withStore(async (store) => {
    for (let index = 0; index < 100; index += 1) await add(store, `${index}`, `many-${index}`);
    lastMs = performance.now();
  });
  await expect.poll(() => heardAtMs.at(-1)).toBeGreaterThanOrEqual(lastMs - 5);
  expect(heardAtMs.length).toBeLessThanOrEqual((performance.now() - beganMs) / 5 + 2);
});

test('the whole log can be read, lane by lane', async () => {
  let last = { lane: -1, position: 0 };
  for await (const { lane, position, id } of readAll(direct, SCHEMA)) {
    expect(position).toBe(lane === last.lane ? last.position + 1 : 1);
    expect(id).toMatch(/^evt_[0-9a-f]{12}7[0-9a-f]{19}$/);
    last = { lane, position };
  }
  expect(last.position).toBeGreaterThan(0);
});
