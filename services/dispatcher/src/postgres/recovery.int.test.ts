import { readFileSync } from 'node:fs';

import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startInvoiceLog, type InvoiceLog } from '../invoice-log.fixture.ts';
import { addLanes } from './lanes.ts';
import { openTables } from './tables.fixture.ts';

/** The SQL of `docs/recovery.md`, in its order. */
const document = readFileSync(new URL('../../../../docs/recovery.md', import.meta.url), 'utf8');
const [restore = '', skip = ''] = [...document.matchAll(/```sql\n(.*?)```/gs)].map(
  ([, sql = '']) => sql,
);

const EVENTS = 5;
const ENDPOINTS = ['a', 'b', 'c'].map((digit) => digit.repeat(32));
const database = useTestDatabase();
let pool: Pool;
let invoices: InvoiceLog;

beforeAll(async () => {
  const { connectionString } = database;
  invoices = await startInvoiceLog(
    { connectionString, log: createLog({ level: 'silent', service: 'test' }) },
    { lanes: 1 },
  );
  pool = await openTables(connectionString, 1);
  await addLanes(pool, 1);
  for (let event = 0; event < EVENTS; event += 1) await invoices.append('invoice');
});

afterAll(async () => {
  await pool.end();
  await invoices.stop();
});

/** Lets the lane be passed up to a position, with the cursor of an endpoint at each of the others. */
async function stand(progress: number, cursors: readonly number[]): Promise<void> {
  await pool.query('update dispatcher.lane_progress set progress = $1', [progress]);
  await pool.query('delete from dispatcher.cursor');
  await pool.query(
    `insert into dispatcher.cursor (lane, endpoint_id, position)
     select 0, * from unnest($1::uuid[], $2::bigint[])`,
    [ENDPOINTS.slice(0, cursors.length), cursors],
  );
}

async function shown(): Promise<{ progress: number; cursors: number[] }> {
  const { rows } = await pool.query<{ progress: number; cursors: number[] }>(
    `select progress::float8 as progress, coalesce(
       (select array_agg(position::float8 order by endpoint_id) from dispatcher.cursor), '{}'
     ) as cursors
     from dispatcher.lane_progress`,
  );
  return rows[0] ?? { progress: Number.NaN, cursors: [] };
}

test('a lane goes back to what the store had, and no cursor points behind that', async () => {
  await stand(EVENTS + 4, [2, EVENTS, EVENTS + 3]);
  await pool.query(restore.replace(/'\d{4}-[^']*'/, 'now()'));
  expect(await shown()).toEqual({ progress: EVENTS, cursors: [2, EVENTS] });
  await pool.query(restore.replace(/'\d{4}-[^']*'/, "'-infinity'"));
  expect(await shown()).toEqual({ progress: 0, cursors: [] });
});

test('an event is skipped where the lane, or the cursor of an endpoint, stands before it', async () => {
  const sql = skip.replaceAll('lane = 3', 'lane = 0').replaceAll('position = 4711', 'position = 3');
  await stand(2, [1, 2]);
  await pool.query(sql);
  expect(await shown()).toEqual({ progress: 3, cursors: [1, 3] });
  // Later the other one has come as far.
  await stand(EVENTS, [2, 3, 4]);
  await pool.query(sql);
  expect(await shown()).toEqual({ progress: EVENTS, cursors: [3, 3, 4] });
});
