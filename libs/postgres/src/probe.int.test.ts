import { createLog } from '@billhook/runtime';
import { startPostgresProxy, useTestDatabase } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';
import { createPool } from './pool.ts';
import { createProbe } from './probe.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
const PROBLEM = 'Postgres does not answer';

test('it is said while Postgres is away or hangs, and no more once it is back', async () => {
  const proxy = await startPostgresProxy(database.connectionString);
  onTestFinished(() => proxy.close());
  const { connectionString } = proxy;
  const pool = createPool({ connectionString, applicationName: 'test', maxConnections: 1, log });
  onTestFinished(() => pool.end());
  const probe = createProbe(pool);
  expect(await probe()).toBeUndefined();
  proxy.cut();
  await expect.poll(probe).toBe(PROBLEM);
  proxy.mend();
  await expect.poll(probe).toBeUndefined();
  proxy.hang();
  // One question is under way, however often somebody asks.
  expect(await Promise.all([probe(), probe(), probe()])).toEqual([PROBLEM, PROBLEM, PROBLEM]);
  proxy.mend();
  await expect.poll(probe, { timeout: 10_000 }).toBeUndefined();
});
