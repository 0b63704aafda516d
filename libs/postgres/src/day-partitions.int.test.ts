import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';

import { keepDayPartitions, startPartitionKeeper } from './day-partitions.ts';
import { createPool, type Client, type Pool } from './pool.ts';

const DAY_MS = 86_400_000;

const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
let pool: Pool;
/** Taken from the database, as the partitions are. */
let nowMs: number;

beforeAll(() => {
  const { connectionString } = database;
  pool = createPool({ connectionString, applicationName: 'test', maxConnections: 8, log });
});

beforeEach(async () => {
  await pool.query(`
    drop schema if exists diary cascade;
    create schema diary;
    create table diary.entry (text text, recorded_at timestamptz not null)
      partition by range (recorded_at);
    create table diary.entry_default partition of diary.entry default`);
  const { rows } = await pool.query<{ now: Date }>('select now()');
  nowMs = rows[0]?.now.getTime() ?? 0;
});

afterAll(() => pool.end());

function keep(retentionDays: number): Promise<void> {
  return keepDayPartitions(pool, { table: 'diary.entry', retentionMs: retentionDays * DAY_MS });
}

async function write(text: string, daysAhead: number): Promise<void> {
  const recordedAt = new Date(nowMs + daysAhead * DAY_MS);
  await pool.query('insert into diary.entry values ($1, $2)', [text, recordedAt]);
}

/** Texts by the partition that they stand in, `default` or days from today. */
async function readEntries(): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ text: string; partition: string }>(
    `select text, tableoid::regclass::text as partition from diary.entry`,
  );
  return Object.fromEntries(rows.map(({ text, partition }) => [text, partition]));
}

function partitionOf(daysAhead: number): string {
  const day = new Date(nowMs + daysAhead * DAY_MS).toISOString().slice(0, 10);
  return `diary.entry_${day.replaceAll('-', '')}`;
}

async function makePartition(daysAhead: number): Promise<void> {
  const [from, to] = [daysAhead, daysAhead + 1].map((days) =>
    new Date(nowMs + days * DAY_MS).toISOString().slice(0, 10),
  );
  await pool.query(`create table ${partitionOf(daysAhead)} partition of diary.entry
    for values from ('${from}T00:00:00Z') to ('${to}T00:00:00Z')`);
}

test('the days ahead have partitions, and further ones go to the default partition', async () => {
  await keep(1);
  for (const daysAhead of [0, 1, 2, 3]) await write(`in ${daysAhead}`, daysAhead);
  expect(await readEntries()).toEqual({
    'in 0': partitionOf(0),
    'in 1': partitionOf(1),
    'in 2': partitionOf(2),
    'in 3': 'diary.entry_default',
  });
});

test('several processes may keep the partitions at once, while others write', async () => {
  // One that would have to wait for a lock for long gives up.
  const keeping = Promise.allSettled(Array.from({ length: 4 }, () => keep(1)));
  await Promise.all(Array.from({ length: 20 }, (_, index) => write(`at once ${index}`, index % 3)));
  await keeping;
  await keep(1);
  expect(Object.keys(await readEntries())).toHaveLength(20);
});

test('partitions whose rows are all older than the retention are dropped, others stay', async () => {
  for (const daysAhead of [-4, -3, -2, -1]) {
    await makePartition(daysAhead);
    await write(`in ${daysAhead}`, daysAhead);
  }
  await keep(2);
  expect(await readEntries()).toEqual({ 'in -2': partitionOf(-2), 'in -1': partitionOf(-1) });
});

test('a day that nobody prepared stays in the default partition until it is old', async () => {
  await write('today', 0);
  await write('old', -3);
  await keep(2);
  await write('tomorrow', 1);
  await write('today too', 0);
  expect(await readEntries()).toEqual({
    today: 'diary.entry_default',
    'today too': 'diary.entry_default',
    tomorrow: partitionOf(1),
  });
  await keep(2);
  expect(Object.keys(await readEntries())).toHaveLength(3);
});

test('keeping what is kept already disturbs nobody who writes', async () => {
  await keep(1);
  const client = await pool.connect();
  try {
    await client.query(`begin; insert into diary.entry values ('under way', now())`);
    await keep(1);
  } finally {
    client.release(true);
  }
});

/** What a dump does: it reads, and goes on with its transaction. */
async function readSlowly<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
  const reader: Client = await pool.connect();
  try {
    await reader.query(`set idle_in_transaction_session_timeout = 0`);
    await reader.query(`begin; select from ${table}`);
    return await work();
  } finally {
    reader.release(true);
  }
}

test('nobody who writes waits for long while partitions cannot be changed', async () => {
  await keep(1);
  await makePartition(-4);
  await readSlowly('diary.entry', async () => {
    const keeping = expect(keep(1)).rejects.toThrow('could not all be kept');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const startedAtMs = performance.now();
    await write('meanwhile', 0);
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
    await keeping;
  });
  await keep(1);
  const { rows } = await pool.query('select to_regclass($1) as old', [partitionOf(-4)]);
  expect(rows).toEqual([{ old: null }]);
});

test('what cannot be dropped keeps nothing from being made or deleted', async () => {
  await makePartition(-4);
  await write('very old', -6);
  await readSlowly(partitionOf(-4), async () => {
    await expect(keep(1)).rejects.toThrow('could not all be kept');
  });
  await write('tomorrow', 1);
  expect(await readEntries()).toEqual({ tomorrow: partitionOf(1) });
});

test('a keeper starts although partitions cannot be made, and makes them later', async () => {
  const failures: unknown[] = [];
  const options = { table: 'diary.entry', retentionMs: DAY_MS, retryAfterMs: 20 };
  const keeper = await readSlowly('diary.entry', () =>
    startPartitionKeeper(pool, options, (error) => failures.push(error)),
  );
  onTestFinished(() => keeper.stop());
  expect(failures).not.toEqual([]);
  await vi.waitFor(async () => {
    const { rows } = await pool.query('select to_regclass($1)::text as made', [partitionOf(2)]);
    expect(rows).toEqual([{ made: partitionOf(2) }]);
  });
});
