import { createPool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dollars, refusal, useInvoiceService } from './testing/invoice-service.ts';
import type { Pool } from '@billhook/postgres';

const service = useInvoiceService();

const amount = dollars(200);

let server: Pool | undefined;
beforeAll(() => {
  const url = new URL(service.config.databaseUrl);
  url.pathname = '/postgres';
  const log = createLog({ level: 'fatal', service: 'outage-test' });
  const applicationName = 'outage-test';
  server = createPool({ connectionString: url.href, applicationName, maxConnections: 1, log });
});
afterAll(() => server?.end());

/** Lets nobody into the service's database, and ends who is in. */
async function closeDatabase(name: string): Promise<void> {
  await server?.query(`alter database ${name} allow_connections false`);
  await server?.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
    name,
  ]);
}

test('while Postgres is away every call says so, and afterwards the service goes on', async () => {
  const create = { requestId: 'r', invoiceId: 'a', amount };
  const created = await service.create(create);
  const database = new URL(service.config.databaseUrl).pathname.slice(1);
  await closeDatabase(database);
  const answers = await Promise.all([
    refusal(service.create({ amount })),
    refusal(service.get('a')),
    refusal(service.list({})),
    refusal(service.events({ invoiceId: 'a' })),
  ]);
  await server?.query(`alter database ${database} allow_connections true`);
  for (const answer of answers) {
    expect(answer).toEqual(['UNAVAILABLE STORE_UNAVAILABLE']);
  }
  expect(await service.get('a')).toEqual(created);
  expect(await service.create(create)).toEqual(created);
});

test('a stop answers the calls under way, and keeps what it acknowledged', async () => {
  const ids = Array.from({ length: 300 }, (_, index) => `stop${index}`);
  const answers = ids.map((invoiceId) => refusal(service.create({ invoiceId, amount })));
  await Promise.race(answers);
  await service.restart();
  for (const [index, [answer]] of (await Promise.all(answers)).entries()) {
    expect(answer).toMatch(/^(OK|UNAVAILABLE .*)$/);
    const [kept] = await refusal(service.get(ids[index] ?? ''));
    expect(kept).toBe(answer === 'OK' ? 'OK' : kept);
  }
  expect((await Promise.all(answers)).flat()).toContain('OK');
});
