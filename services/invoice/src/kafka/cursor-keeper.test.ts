import { getEventListeners } from 'node:events';
import { createLaneLeases } from '@billhook/lane-leases';
import { createPool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { SCHEMA } from '../postgres/migrations.ts';
import { createCursorKeeper } from './cursor-keeper.ts';

test('who waits for cursors to be saved leaves nothing behind at the signal', async () => {
  const log = createLog({ level: 'silent', service: 'test' });
  const connectionString = 'postgres://nobody@127.0.0.1:1/nothing';
  const pool = createPool({ connectionString, applicationName: 'test', maxConnections: 1, log });
  onTestFinished(() => pool.end());
  const leases = createLaneLeases(
    { pool, log, monotonicMs: () => performance.now() },
    { schema: SCHEMA, lanes: 1, ownerId: 'test' },
  );
  const cursors = createCursorKeeper({ pool, leases, log }, () => undefined);
  const { signal } = new AbortController();
  for (let lane = 0; lane < 20; lane += 1) await cursors.saved(signal);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
