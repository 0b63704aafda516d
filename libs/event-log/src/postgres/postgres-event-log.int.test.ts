import { createAppendBell, laneOf } from '@billhook/event-store';
import { createPool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeStore, startAppender } from '../appender.fixture.ts';
import { describeEventLog } from '../conformance.ts';
import type { EventLogHarness } from '../conformance.ts';
import type { EventLogReader } from '../event-log.ts';
import { openPostgresEventLog } from './postgres-event-log.ts';
import type { PostgresEventLogOptions } from './postgres-event-log.ts';

const lanes = 16;
const never = new AbortController().signal;
const log = createLog({ level: 'silent', service: 'test' });
const database = useTestDatabase();

describeEventLog('the event log in Postgres', () => startHarness('notes'));

describeEventLog('the event log in Postgres, in the process that appends', () =>
  startHarness('rung', { bell: createAppendBell({ reachesAll: true }), follows: true }),
);

describe('the event log in Postgres, beyond the port', () => {
  it('stops at the bytes of a read, but hands out one event at least', async () => {
    const harness = await startHarness('bytes', { maxReadBytes: 40_000 });
    onTestFinished(() => harness.close());
    const stream = { tenant: 'default', streamId: 'large' };
    const lane = await onlyLane(harness, stream);
    const reader = await harness.open();
    onTestFinished(() => reader.close());
    const [four] = await reader.read([{ lane, after: 0, limit: 100 }], never);
    expect(four?.events.map((record) => record.position)).toEqual([1, 2, 3, 4]);
    // What was left out is there already.
    await reader.waitForMore(never, 60_000);
    const many = Array.from({ length: 40 }, () => ({ lane, after: 0, limit: 100 }));
    const [one] = await reader.read(many, never);
    expect(one?.events.map((record) => record.position)).toEqual([1]);
  });

  it('reads the other lanes while an append is stuck in one', async () => {
    const harness = await startHarness('stuck');
    onTestFinished(() => harness.close());
    const stream = { tenant: 'default', streamId: 'large' };
    const lane = await onlyLane(harness, stream);
    const pool = connect();
    const client = await pool.connect();
    await client.query('begin');
    await client.query('select from stuck.lane where lane = $1 for update', [(lane + 1) % lanes]);
    const reader = await harness.open();
    const requests = [lane, (lane + 1) % lanes].map((each) => ({ lane: each, after: 0, limit: 1 }));
    const slices = await reader.read(requests, never);
    expect(slices.map((slice) => slice.events.length)).toEqual([1, 0]);
    await client.query('rollback');
    client.release();
    await pool.end();
    await reader.close();
  });

  it('hears of an append in its own process once, and of those of others', async () => {
    const bell = createAppendBell({ reachesAll: false });
    const harness = await startHarness('heard', { bell });
    onTestFinished(() => harness.close());
    const other = startAppender(
      { connectionString: database.connectionString, log },
      { schema: 'heard', lanes },
    );
    onTestFinished(() => other.stop());
    const reader = await harness.open();
    onTestFinished(() => reader.close());
    await reader.waitForMore(never, 100);
    let rings = 0;
    bell.listen(() => (rings += 1));

    await harness.append({ tenant: 'default', streamId: 'own' }, [Buffer.of(1)]);
    expect(rings).toBe(1);
    await reader.waitForMore(never, 60_000);
    expect(await wakes(reader, 500)).toBe(false);
    await other.append({ tenant: 'default', streamId: 'other' }, [Buffer.of(1)]);
    expect(await wakes(reader, 60_000)).toBe(true);
    expect(rings).toBe(1);
  });

  it('reads what the bell brought from memory', async () => {
    const bell = createAppendBell({ reachesAll: true });
    const harness = await startHarness('followed', { bell, follows: true });
    onTestFinished(() => harness.close());
    const lane = laneOf(FOLLOWED.tenant, FOLLOWED.streamId, lanes);
    const reader = await harness.open();
    onTestFinished(() => reader.close());
    await reader.read([{ lane, after: 0, limit: 100 }], never);
    await harness.append(FOLLOWED, [Buffer.of(1), Buffer.of(2)]);
    // Another one than the bell brought tells where an event was read from.
    await change(`update followed.event set data = '\\x09'`);
    const [slice] = await reader.read([{ lane, after: 0, limit: 100 }], never);
    expect(slice?.events.map(({ data }) => [...data])).toEqual([[1], [2]]);
    const [again] = await reader.read([{ lane, after: 2, limit: 100 }], never);
    expect(again).toMatchObject({ predecessor: { id: slice?.events[1]?.id }, events: [] });
  });

  it('finds what no bell told of after the poll time', async () => {
    const bell = createAppendBell({ reachesAll: true });
    const harness = await startHarness('untold', { bell, follows: true, pollEveryMs: 20 });
    onTestFinished(() => harness.close());
    const lane = laneOf(FOLLOWED.tenant, FOLLOWED.streamId, lanes);
    const reader = await harness.open();
    onTestFinished(() => reader.close());
    await harness.append(FOLLOWED, [Buffer.of(1)]);
    await reader.read([{ lane, after: 1, limit: 100 }], never);
    await change(
      `insert into untold.event (lane, position, id, tenant, stream_id, version, type, data, recorded_at)
       select lane, 2, gen_random_uuid(), tenant, stream_id, 2, type, data, recorded_at from untold.event`,
    );
    for (let found = 0; found === 0;) {
      const [slice] = await reader.read([{ lane, after: 1, limit: 100 }], never);
      found = slice?.events.length ?? 0;
      await reader.waitForMore(never, 60_000);
    }
  });

  it('looks again after the poll time, though nobody notified', async () => {
    const harness = await startHarness('polled', { pollEveryMs: 20 });
    onTestFinished(() => harness.close());
    const reader = await harness.open();
    onTestFinished(() => reader.close());
    for (let time = 0; time < 5; time += 1) await reader.waitForMore(never, 60_000);
  });
});

const FOLLOWED = { tenant: 'default', streamId: 'followed' };

/** Changes the tables behind everybody's back. */
async function change(statement: string): Promise<void> {
  const pool = connect();
  await pool.query(statement);
  await pool.end();
}

/** Whether a wait ends before its time. */
async function wakes(reader: EventLogReader, timeoutMs: number): Promise<boolean> {
  const beganMs = performance.now();
  await reader.waitForMore(never, timeoutMs);
  // A timer may fire a little early.
  return performance.now() - beganMs < timeoutMs - 10;
}

/** Appends ten events of 10 KiB and says in which lane they are. */
async function onlyLane(
  harness: EventLogHarness,
  stream: { readonly tenant: string; readonly streamId: string },
): Promise<number> {
  await harness.append(
    stream,
    Array.from({ length: 10 }, () => Buffer.alloc(10 * 1024)),
  );
  const reader = await harness.open();
  const requests = Array.from({ length: lanes }, (_, lane) => ({ lane, after: 0, limit: 1 }));
  const slices = await reader.read(requests, never);
  await reader.close();
  return slices.findIndex((slice) => slice.events.length > 0);
}

async function startHarness(
  schema: string,
  options: Partial<PostgresEventLogOptions> = {},
): Promise<EventLogHarness> {
  const { connectionString } = database;
  const pool = connect();
  const admin = connect();
  await makeStore(admin, { schema, lanes });
  const appenders = Array.from({ length: 3 }, () =>
    startAppender({ connectionString, log, ...options }, { schema, lanes }),
  );
  return {
    lanes,
    async append(stream, payloads, process = 0) {
      await appenders[process]?.append(stream, payloads);
    },
    open: () =>
      openPostgresEventLog(
        { pool, log },
        { schema, connectionString, pollEveryMs: 60_000, ...options },
      ),
    async breakConnections() {
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()
           and application_name <> 'appender'`,
      );
    },
    async close() {
      await Promise.all(appenders.map((appender) => appender.stop()));
      await pool.end();
      await admin.end();
    },
  };
}

function connect() {
  return createPool({
    connectionString: database.connectionString,
    applicationName: 'event-log-test',
    maxConnections: 2,
    log,
  });
}
