import { transaction, type Pool } from '@billhook/postgres';
import { startPostgresProxy, useTestDatabase, type PostgresProxy } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { LaneRecorded, LaneRecording, ParkedRow } from '../engine/recording.ts';
import { writeRecording } from './record.ts';
import {
  ENDPOINT,
  event,
  NOW_MS,
  OTHER_ENDPOINT,
  parked,
  recordingOf,
} from './recording.fixture.ts';
import { emptyTables, openTables } from './tables.fixture.ts';

const database = useTestDatabase();
const LANES = 4;
const DAY_MS = 86_400_000;
const SINCE_MS = NOW_MS - DAY_MS;
const END_AT_MOST = 1_000;
let proxy: PostgresProxy;
let pool: Pool;

beforeAll(async () => {
  proxy = await startPostgresProxy(database.connectionString);
  pool = await openTables(proxy.connectionString, 1);
});

beforeEach(() => emptyTables(pool, LANES));

afterAll(async () => {
  await pool.end();
  await proxy.close();
});

async function write(parts: readonly Partial<LaneRecording>[]): Promise<LaneRecorded[]> {
  return transaction(pool, (client) => writeRecording(client, 1, parts.map(recordingOf)));
}

async function statementsOf(parts: readonly Partial<LaneRecording>[]): Promise<number> {
  const before = proxy.statements();
  await write(parts);
  return proxy.statements() - before;
}

interface RowPlace {
  readonly lane: number;
  readonly position: number;
  readonly ageMs?: number;
  readonly endpointId?: string;
}

function row({ lane, position, ageMs = 0, endpointId = ENDPOINT }: RowPlace): ParkedRow {
  const id = `evt_${(lane * 1_000_000 + position).toString().padStart(32, '0')}`;
  const recordedAtMs = NOW_MS - ageMs;
  return parked(position, {
    event: { ...event(position, `invoice-${position}`), lane, id, recordedAtMs },
    endpointId,
  });
}

function numberedEndpoint(number: number): string {
  return `ep_${number.toString(16).padStart(32, '0')}`;
}

async function countLeft(): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    'select count(*)::int as count from dispatcher.parked',
  );
  return rows[0]?.count ?? 0;
}

function positions(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1);
}

test('of very many rows of unregistered endpoints a part is cancelled with each recording', async () => {
  const parkedRows = [0, 1].flatMap((lane) =>
    positions(750).map((position) => row({ lane, position })),
  );
  await write([{ parkedRows }]);
  const parts = [0, 1].map((lane) => ({ lane, cancelEndpoints: [ENDPOINT, OTHER_ENDPOINT] }));
  const first = await write(parts);
  expect(await countLeft()).toBe(1_500 - END_AT_MOST);
  expect(first).toMatchObject([
    { lane: 0, cancelled: [{ isAll: false }, { isAll: false }] },
    { lane: 1, cancelled: [{ isAll: false }, { isAll: false }] },
  ]);
  const second = await write(parts);
  expect(await countLeft()).toBe(0);
  expect(second.flatMap((each) => (each.kind === 'recorded' ? each.cancelled : []))).toHaveLength(
    4,
  );
  expect(second).toMatchObject([
    {
      cancelled: [
        { endpointId: ENDPOINT, isAll: true },
        { rows: 0, isAll: true },
      ],
    },
    {
      cancelled: [
        { endpointId: ENDPOINT, isAll: true },
        { rows: 0, isAll: true },
      ],
    },
  ]);
});

test('rows die whose events are too old, and the next one of a pair is due', async () => {
  const old = row({ lane: 1, position: 1, ageMs: 2 * DAY_MS });
  const young = row({ lane: 1, position: 2 });
  const { invoiceId } = old.event;
  await write([{ parkedRows: [old, { ...young, event: { ...young.event, invoiceId } }] }]);
  await write([{ parkedRows: [row({ lane: 2, position: 1, ageMs: 3 * DAY_MS })] }]);
  const parts = [1, 2].map((lane) => ({
    lane,
    expireEndpoints: [ENDPOINT],
    expireBeforeMs: SINCE_MS,
  }));
  expect(await write(parts)).toMatchObject([
    { lane: 1, expired: [{ endpointId: ENDPOINT, rows: 1, isAll: true }] },
    { lane: 2, expired: [{ endpointId: ENDPOINT, rows: 1, isAll: true }] },
  ]);
  const { rows } = await pool.query(
    'select lane, position::int as position, due_at from dispatcher.parked',
  );
  expect(rows).toEqual([{ lane: 1, position: 2, due_at: new Date(NOW_MS) }]);
  const dead = await pool.query(
    `select lane, position::int as position, settlement, detail from dispatcher.attempt
     order by lane`,
  );
  expect(dead.rows).toEqual([
    { lane: 1, position: 1, settlement: 'dead', detail: 'waited too long' },
    { lane: 2, position: 1, settlement: 'dead', detail: 'waited too long' },
  ]);
});

test('what was retried by hand does not die of its age, and is cancelled like all else', async () => {
  const retried = { ...row({ lane: 1, position: 1, ageMs: 2 * DAY_MS }), ordered: false };
  await write([{ parkedRows: [retried, row({ lane: 1, position: 2, ageMs: 2 * DAY_MS })] }]);
  const expiring = { lane: 1, expireEndpoints: [ENDPOINT], expireBeforeMs: SINCE_MS };
  expect(await write([expiring])).toMatchObject([{ expired: [{ rows: 1, isAll: true }] }]);
  expect(await countLeft()).toBe(1);
  await write([{ lane: 1, cancelEndpoints: [ENDPOINT] }]);
  expect(await countLeft()).toBe(0);
});

test('others keep their rows of an event that is too old', async () => {
  const place = { lane: 1, position: 1, ageMs: 2 * DAY_MS };
  await write([{ parkedRows: [row(place), row({ ...place, endpointId: OTHER_ENDPOINT })] }]);
  await write([{ lane: 1, expireEndpoints: [ENDPOINT], expireBeforeMs: SINCE_MS }]);
  expect(await countLeft()).toBe(1);
  const { rowCount } = await pool.query('select from dispatcher.parked_event');
  expect(rowCount).toBe(1);
});

test('a look for old rows takes one statement for any number of endpoints and lanes', async () => {
  const parkedRows = positions(LANES).map((lane) => row({ lane: lane - 1, position: 1 }));
  await write([{ parkedRows }]);
  const lanes = positions(LANES).map((lane) => ({ lane: lane - 1 }));
  const without = await statementsOf(lanes);
  const expireEndpoints = [ENDPOINT, ...positions(200).map(numberedEndpoint)];
  const parts = lanes.map((lane) => ({ ...lane, expireEndpoints, expireBeforeMs: SINCE_MS }));
  expect(await statementsOf(parts)).toBe(without + 1);
  expect(await countLeft()).toBe(LANES);
});

test('rows of any number of endpoints and lanes end in a few statements', async () => {
  const endpoints = positions(20).map(numberedEndpoint);
  const parkedRows = positions(LANES).flatMap((lane) =>
    endpoints.map((endpointId) =>
      row({ lane: lane - 1, position: 1, ageMs: 2 * DAY_MS, endpointId }),
    ),
  );
  await write([{ parkedRows }]);
  const parts = positions(LANES).map((lane) => ({
    lane: lane - 1,
    expireEndpoints: endpoints.slice(0, 10),
    cancelEndpoints: endpoints.slice(10),
    expireBeforeMs: SINCE_MS,
  }));
  expect(await statementsOf(parts)).toBeLessThan(12);
  expect(await countLeft()).toBe(0);
});
