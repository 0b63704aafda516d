import { randomUUID } from 'node:crypto';

import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import type { EndpointStanding } from '../engine/standings.ts';
import { deleteStaleStandings, deleteStandings, noteStandings } from '../postgres/standings.ts';
import { openTables } from '../postgres/tables.fixture.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import { keepEndpointRecords, NOTE_AT_MOST } from './endpoint-records.ts';
import { createEngineLoop } from './engine-loop.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
const [own, other] = [randomUUID(), randomUUID()];
const STANDING: EndpointStanding = {
  endpointId: `ep_${'a'.repeat(32)}`,
  circuit: 'closed',
  reason: undefined,
  brokenSinceMs: undefined,
  probeAtMs: undefined,
  concurrencyLimit: 8,
  inFlight: 1,
  queued: 0,
  laggingLanes: 0,
  cursorLanes: 0,
};
const NO_HEALTH: EndpointHealth = {
  note: () => undefined,
  changed: () => undefined,
  writeRecovered: () => Promise.resolve(),
  flush: () => Promise.resolve(),
};
let pool: Pool;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 2);
});

afterAll(() => pool.end());

async function noted(): Promise<string[]> {
  const { rows } = await pool.query<{ dispatcher_id: string }>(
    'select dispatcher_id from dispatcher.endpoint_standing',
  );
  return rows.map(({ dispatcher_id }) => dispatcher_id);
}

test('a stop has written down how endpoints did, and shows no standings of its own any more', async () => {
  await noteStandings(pool, own, [STANDING]);
  await noteStandings(pool, other, [STANDING]);
  let flushed = 0;
  const health = { ...NO_HEALTH, flush: () => Promise.resolve(void (flushed += 1)) };
  const ended = new AbortController();
  const loop = createEngineLoop(new Engine(optionsOf()), () => undefined);
  const deps = { pool, loop, health, dispatcherId: own, log };
  const keeping = keepEndpointRecords(deps, ended.signal);
  ended.abort();
  await keeping;
  expect(flushed).toBe(1);
  expect(await noted()).toEqual([other]);
});

test('each endpoint is noted in its turn, although there is always something to note of the first ones', async () => {
  await deleteStandings(pool, own);
  const loop = createEngineLoop(new Engine(optionsOf()), () => undefined);
  const ids = Array.from({ length: NOTE_AT_MOST + 500 }, (_, index) => index.toString(16));
  let concurrencyLimit = 8;
  vi.spyOn(loop.engine, 'standings').mockImplementation(() => {
    concurrencyLimit *= 2;
    return ids.map((id) => {
      return { ...STANDING, endpointId: `ep_${id.padStart(32, '0')}`, concurrencyLimit };
    });
  });
  const ended = new AbortController();
  const deps = { pool, loop, health: NO_HEALTH, dispatcherId: own, log };
  const keeping = keepEndpointRecords(deps, ended.signal);
  const notedHere = async () => (await noted()).filter((id) => id === own).length;
  await expect.poll(notedHere, { timeout: 5_000 }).toBe(ids.length);
  ended.abort();
  await keeping;
});

test('an endpoint that has nothing any more is shown so', async () => {
  await deleteStandings(pool, own);
  const loop = createEngineLoop(new Engine(optionsOf()), () => undefined);
  let busy = { ...STANDING, inFlight: 64, queued: 64 };
  vi.spyOn(loop.engine, 'standings').mockImplementation(() => [busy]);
  const ended = new AbortController();
  const deps = { pool, loop, health: NO_HEALTH, dispatcherId: own, log };
  const keeping = keepEndpointRecords(deps, ended.signal);
  await expect.poll(notedCounts, { timeout: 5_000 }).toEqual([{ in_flight: 64, queued: 64 }]);
  busy = { ...busy, inFlight: 0, queued: 0 };
  await expect.poll(notedCounts, { timeout: 15_000 }).toEqual([{ in_flight: 0, queued: 0 }]);
  ended.abort();
  await keeping;
});

async function notedCounts(): Promise<unknown[]> {
  const { rows } = await pool.query(
    'select in_flight, queued from dispatcher.endpoint_standing where dispatcher_id = $1',
    [own],
  );
  return rows;
}

test('what a dispatcher noted that was killed is forgotten', async () => {
  await noteStandings(pool, own, [STANDING]);
  await pool.query(
    `update dispatcher.endpoint_standing set noted_at = now() - interval '3 minutes'
     where dispatcher_id = $1`,
    [other],
  );
  await deleteStaleStandings(pool);
  expect(await noted()).toEqual([own]);
});
