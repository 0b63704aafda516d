import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { migrate, type Migration } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
const PROCESSES = 4;
let pool: Pool;

beforeAll(() => {
  const { connectionString } = database;
  const maxConnections = PROCESSES;
  pool = createPool({ connectionString, applicationName: 'test', maxConnections, log });
});

afterAll(() => pool.end());

function history(schema: string): readonly Migration[] {
  return [
    { number: 1, name: 'pot', sql: `create table ${schema}.pot (plants integer)` },
    { number: 2, name: 'plant', sql: `insert into ${schema}.pot select 1 from pg_sleep(0.2)` },
    { number: 3, name: 'grow', sql: `update ${schema}.pot set plants = plants + 1` },
  ];
}

async function readPot(schema: string): Promise<unknown[]> {
  return (await pool.query<{ plants: number }>(`select plants from ${schema}.pot`)).rows;
}

test('several processes that start at once do each migration once', async () => {
  const migrations = history('garden');
  const starting = Array.from({ length: PROCESSES }, () =>
    migrate(pool, { schema: 'garden', migrations }),
  );
  await Promise.all(starting);
  expect(await readPot('garden')).toEqual([{ plants: 2 }]);
  const recorded = await pool.query('select number, name from garden.migration order by number');
  expect(recorded.rows).toEqual(migrations.map(({ number, name }) => ({ number, name })));
});

test('a later version goes on where the earlier one ended, whatever the order of its list', async () => {
  const migrations = history('later');
  await migrate(pool, { schema: 'later', migrations: migrations.slice(0, 2) });
  expect(await readPot('later')).toEqual([{ plants: 1 }]);
  await migrate(pool, { schema: 'later', migrations: migrations.toReversed() });
  expect(await readPot('later')).toEqual([{ plants: 2 }]);
});

test('a migration that was changed after it was applied is refused', async () => {
  const migrations = history('changed');
  await migrate(pool, { schema: 'changed', migrations });
  const changed = migrations.map((each) =>
    each.number === 2 ? { ...each, sql: `${each.sql} -- changed` } : each,
  );
  const further = { number: 4, name: 'wither', sql: 'delete from changed.pot' };
  await expect(
    migrate(pool, { schema: 'changed', migrations: [...changed, further] }),
  ).rejects.toThrow('Migration 2 (plant)');
  expect(await readPot('changed')).toEqual([{ plants: 2 }]);
});

test('a database that a later version has changed is refused', async () => {
  const migrations = history('newer');
  await migrate(pool, { schema: 'newer', migrations });
  await expect(
    migrate(pool, { schema: 'newer', migrations: migrations.slice(0, 2) }),
  ).rejects.toThrow('Migration 3 (grow)');
});

test('a migration that fails leaves nothing behind, and is tried again', async () => {
  const migrations = history('failed');
  const broken = { number: 2, name: 'plant', sql: 'delete from failed.pot; select 1 / 0' };
  const first = migrations.slice(0, 1);
  await expect(
    migrate(pool, { schema: 'failed', migrations: [...first, broken] }),
  ).rejects.toMatchObject({ code: '22012' });
  await migrate(pool, { schema: 'failed', migrations });
  expect(await readPot('failed')).toEqual([{ plants: 2 }]);
});
