import { transaction, type Pool } from '@billhook/postgres';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

import type { LaneRecording } from '../engine/recording.ts';
import { readDueRows } from './claim.ts';
import { addLanes } from './lanes.ts';
import { writeRecording } from './record.ts';
import { claimOf, NOW_MS, recordingOf } from './recording.fixture.ts';
import { readStatus } from './standings.ts';
import { openTables } from './tables.fixture.ts';

/** What is read when very many rows wait is counted: it hardly depends on the machine. */
const database = useTestDatabase();
const LANES = 4;
const ENDPOINTS = 500;
const ROWS_PER_ENDPOINT = 120;
let pool: Pool;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 1);
  await addLanes(pool, LANES);
  // What is committed later than it is answered cannot be marked as seen by all yet.
  await pool.query('set synchronous_commit = on');
  await pool.query(
    `insert into dispatcher.parked_event
     select lane, position, md5(lane || ' ' || position)::uuid, 'default', 'invoice-' || position, 1,
       'invoice_updated', $3, null, ''
     from generate_series(0, $1::int - 1) as lane, generate_series(1, $2::int) as position`,
    [LANES, ROWS_PER_ENDPOINT / LANES, new Date(NOW_MS)],
  );
  await pool.query(
    `insert into dispatcher.parked
       (lane, position, endpoint_id, invoice_id, attempt, not_before, due_at, ordered)
     select lane, position, lpad(to_hex(endpoint), 32, '0')::uuid, invoice_id, 0, recorded_at,
       recorded_at, true
     from dispatcher.parked_event, generate_series(1, $1::int) as endpoint`,
    [ENDPOINTS],
  );
  await pool.query('vacuum analyze dispatcher.parked');
});

afterAll(() => pool.end());

function numberedEndpoint(number: number): string {
  return `ep_${number.toString(16).padStart(32, '0')}`;
}

const endpoints = Array.from({ length: ENDPOINTS }, (_, index) => numberedEndpoint(index + 1));

interface Reads {
  /** Rows of `parked` that were looked for in the table, beside an index or without. */
  readonly rows: number;
  /** Pages of its indexes. */
  readonly pages: number;
}

async function readsSoFar(): Promise<Reads> {
  await pool.query('select pg_stat_force_next_flush()');
  const { rows } = await pool.query<Reads>(
    `select (seq_tup_read + idx_tup_fetch)::float8 as rows,
       (idx_blks_hit + idx_blks_read)::float8 as pages
     from pg_stat_user_tables join pg_statio_user_tables using (relid)
     where relid = 'dispatcher.parked'::regclass`,
  );
  const [reads] = rows;
  if (reads === undefined) throw new Error('the table has statistics');
  return reads;
}

async function readsOf(work: () => Promise<unknown>): Promise<Reads> {
  const before = await readsSoFar();
  await work();
  const after = await readsSoFar();
  return { rows: after.rows - before.rows, pages: after.pages - before.pages };
}

function write(part: Partial<LaneRecording>): Promise<unknown> {
  return transaction(pool, (client) => writeRecording(client, 1, [recordingOf(part)]));
}

test('a claim reads nothing but a few pages of an index for each endpoint', async () => {
  const claims = endpoints.slice(0, 50).map((endpointId, index) => {
    return claimOf({ lane: index % LANES, endpointId, limit: 10 });
  });
  const results: number[] = [];
  const reads = await readsOf(async () => {
    for (const { rows } of await readDueRows(pool, claims, NOW_MS + 1_000)) {
      results.push(rows.length);
    }
  });
  expect(results).toEqual(claims.map(() => 10));
  expect(reads.rows).toBe(0);
  expect(reads.pages).toBeLessThan(claims.length * 50);
});

/** How long a claim takes for many endpoints, of each of which some rows are claimed already. */
async function timeOfClaim(claimedRows: number): Promise<number> {
  const claimed = Array.from({ length: claimedRows }, (_, index) => 1_000 + index);
  const claims = endpoints.slice(0, 256).map((endpointId) => {
    return claimOf({ lane: 1, endpointId, limit: 30, claimed });
  });
  const startedAtMs = performance.now();
  await readDueRows(pool, claims, NOW_MS + 1_000);
  return performance.now() - startedAtMs;
}

/** The shortest of several: other tests run at the same time. */
async function shortestClaim(claimedRows: number): Promise<number> {
  const times: number[] = [];
  for (let claim = 0; claim < 3; claim += 1) times.push(await timeOfClaim(claimedRows));
  return Math.min(...times);
}

test('a claim takes hardly longer when very many rows are claimed already', async () => {
  const fewMs = await shortestClaim(1);
  expect(await shortestClaim(400)).toBeLessThan(fewMs * 5);
});

test('rows of an endpoint are listed, counted and cancelled without a look at others', async () => {
  const rowsPerLane = ROWS_PER_ENDPOINT / LANES;
  const listEndpoints = endpoints.slice(100, 130);
  const listing = await readsOf(() => write({ lane: 1, listEndpoints }));
  expect(listing.rows).toBeLessThanOrEqual(listEndpoints.length * rowsPerLane);
  expect(listing.pages).toBeLessThan(listEndpoints.length * 10);
  const counting = await readsOf(() => readStatus(pool, numberedEndpoint(200)));
  expect(counting.pages).toBeLessThan(LANES * 10);
  const cancelEndpoints = endpoints.slice(300, 320);
  const cancelling = await readsOf(() => write({ lane: 2, cancelEndpoints }));
  // For the event of each row is looked whether others wait for it.
  expect(cancelling.pages).toBeLessThan(cancelEndpoints.length * rowsPerLane * 8);
});
