import { createLog } from '@billhook/runtime';
import { startPostgresProxy, useTestDatabase, type PostgresProxy } from '@billhook/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

import { listen } from './listen.ts';
import { createPool, type Pool } from './pool.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
let pool: Pool;
let proxy: PostgresProxy;

beforeAll(async () => {
  const { connectionString } = database;
  pool = createPool({ connectionString, applicationName: 'test', maxConnections: 2, log });
  proxy = await startPostgresProxy(connectionString);
});

afterAll(async () => {
  await pool.end();
  await proxy.close();
});

async function heard(onNotify: () => void, atLeast: number): Promise<void> {
  await vi.waitFor(() =>
    expect(vi.mocked(onNotify).mock.calls.length).toBeGreaterThanOrEqual(atLeast),
  );
}

test('a listener hears its channel, and is told after each connection that it may have missed something', async () => {
  const { connectionString } = database;
  const onNotify = vi.fn<() => void>();
  const listener = await listen({ connectionString, channel: 'news', onNotify, log });
  expect(onNotify).toHaveBeenCalledTimes(1);
  await pool.query('notify news; notify other');
  await heard(onNotify, 2);
  await pool.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where application_name = 'billhook listener' and datname = current_database()`);
  await heard(onNotify, 3);
  await pool.query('notify news');
  await heard(onNotify, 4);
  await listener.close();
  await pool.query('notify news');
  expect(onNotify).toHaveBeenCalledTimes(4);
});

test('a listener goes on trying while Postgres is away', async () => {
  const { connectionString } = proxy;
  const onNotify = vi.fn<() => void>();
  const listener = await listen({ connectionString, channel: 'news', onNotify, log });
  proxy.cut();
  await pool.query('select pg_sleep(0.3)');
  expect(onNotify).toHaveBeenCalledTimes(1);
  proxy.mend();
  await heard(onNotify, 2);
  await pool.query('notify news');
  await heard(onNotify, 3);
  await listener.close();
});

test('a listener can be closed while Postgres is away', async () => {
  const { connectionString } = proxy;
  const onNotify = vi.fn<() => void>();
  const listener = await listen({ connectionString, channel: 'news', onNotify, log });
  proxy.cut();
  await pool.query('select pg_sleep(0.1)');
  await listener.close();
  proxy.mend();
  expect(onNotify).toHaveBeenCalledTimes(1);
});

test('a first connection that cannot be made is an error', async () => {
  const { connectionString } = proxy;
  proxy.cut();
  const onNotify = vi.fn<() => void>();
  await expect(listen({ connectionString, channel: 'news', onNotify, log })).rejects.toThrow(
    'Connection terminated',
  );
  proxy.mend();
  expect(onNotify).not.toHaveBeenCalled();
});
