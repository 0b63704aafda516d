import { startPostgresProxy } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';

import { invoiceIds, useDispatchers } from './dispatchers.fixture.ts';

/**
 * What deliveries cost, as counts, which hardly depend on the machine: whatever makes a delivery dearer
 * by a statement, a row or a connection of its own fails here. Measured were 43, 1,024 and 32.
 */
const MOST_PER_1000 = { statements: 100, rows: 1_100, connections: 40 };

/** A delivery that waits too long for its turn is parked, on a busy machine; this many never are. */
const MOST_PARKED_PER_1000 = 500;

const EVENTS = 2_000;
const ENDPOINTS = 2;
const DELIVERIES = EVENTS * ENDPOINTS;
const TIMEOUT_MS = 60_000;
const STATISTICS_TIMEOUT_MS = 10_000;

const dispatchers = useDispatchers({ lanes: 8 });

interface RowsWritten {
  /** Inserted, updated and deleted, in all other tables of the dispatcher. */
  readonly rows: number;
  readonly parked: number;
}

/** Known once the sessions that wrote are gone. */
async function rowsWritten(): Promise<RowsWritten> {
  const { rows } = await dispatchers.pool.query<RowsWritten>(
    `select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del)
         filter (where relname not in ('parked', 'parked_event')), 0)::float8 as rows,
       coalesce(sum(n_tup_ins) filter (where relname = 'parked'), 0)::float8 as parked
     from pg_stat_user_tables where schemaname = 'dispatcher'`,
  );
  const [written] = rows;
  if (written === undefined) throw new Error('an aggregate has a row');
  return written;
}

async function attemptsRecorded(): Promise<number> {
  const { rows } = await dispatchers.pool.query<{ attempts: number }>(
    'select count(*)::int as attempts from dispatcher.attempt',
  );
  return rows[0]?.attempts ?? 0;
}

test('1000 deliveries take few statements and connections, and hardly a row more than they are', async () => {
  const proxy = await startPostgresProxy(dispatchers.database.connectionString);
  onTestFinished(() => proxy.close());
  // Makes the tables.
  await (await dispatchers.start()).stop();
  const receiver = await dispatchers.receive();
  for (let count = 0; count < ENDPOINTS; count += 1) dispatchers.register(receiver);
  await dispatchers.appendToEach(invoiceIds(EVENTS), 1);
  const before = await rowsWritten();

  const service = await dispatchers.start({ databaseUrl: proxy.connectionString });
  await receiver.waitFor(DELIVERIES, TIMEOUT_MS);
  await expect.poll(attemptsRecorded, { timeout: TIMEOUT_MS }).toBeGreaterThanOrEqual(DELIVERIES);
  await service.stop();

  const written = async () => (await rowsWritten()).rows - before.rows;
  await expect.poll(written, { timeout: STATISTICS_TIMEOUT_MS }).toBeGreaterThanOrEqual(DELIVERIES);
  const per1000 = (count: number) => (count / DELIVERIES) * 1_000;
  expect(per1000(proxy.statements())).toBeLessThan(MOST_PER_1000.statements);
  expect(per1000(await written())).toBeLessThan(MOST_PER_1000.rows);
  expect(per1000(receiver.connections)).toBeLessThan(MOST_PER_1000.connections);
  const { parked } = await rowsWritten();
  expect(per1000(parked - before.parked)).toBeLessThan(MOST_PARKED_PER_1000);
});
