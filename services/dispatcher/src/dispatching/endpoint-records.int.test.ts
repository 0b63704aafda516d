import { randomUUID } from 'node:crypto';

import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import type { EndpointStanding } from '../engine/standings.ts';
import { deleteStaleStandings, noteStandings } from '../postgres/standings.ts';
import { openTables } from '../postgres/tables.fixture.ts';
import { keepEndpointRecords } from './endpoint-records.ts';
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
  const health = {
    note: () => undefined,
    changed: () => undefined,
    flush: () => Promise.resolve(void (flushed += 1)),
  };
  const ended = new AbortController();
  const loop = createEngineLoop(new Engine(optionsOf()), () => undefined);
  const deps = { pool, loop, health, dispatcherId: own, log };
  const keeping = keepEndpointRecords(deps, ended.signal);
  ended.abort();
  await keeping;
  expect(flushed).toBe(1);
  expect(await noted()).toEqual([other]);
});

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
