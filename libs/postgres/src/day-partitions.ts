import type { Client, Pool } from './pool.ts';
import { transaction } from './transaction.ts';

const DAY_MS = 86_400_000;

/** How many days' partitions are made ahead, today's included. */
const DAYS_AHEAD = 3;

/** The first key of the advisory locks; the second one is made of the table's name. */
const PARTITION_LOCK = 21_102;

export interface DayPartitions {
  /** The partitioned table with its schema; it is partitioned by range of `recorded_at`. */
  readonly table: string;
  readonly retentionMs: number;
}

/** What there is, and what time it is for the database: a process's own clock may be wrong. */
interface Stock {
  readonly nowMs: number;
  readonly partitions: ReadonlySet<string>;
}

/**
 * Makes the coming days' partitions of a table, and drops those whose rows are all older than the
 * retention. The table needs a default partition, `<table>_default`: it takes the rows of days that
 * nobody prepared, so that a process which slept for a week can still write. Several processes may
 * do this at once.
 */
export async function keepDayPartitions(pool: Pool, options: DayPartitions): Promise<void> {
  await transaction(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [
      PARTITION_LOCK,
      options.table,
    ]);
    const stock = await takeStock(client, options.table);
    await makeAhead(client, options, stock);
    await dropOld(client, options, stock);
  });
}

async function takeStock(client: Client, table: string): Promise<Stock> {
  const result = await client.query<{ now_ms: number; partitions: string[] }>(
    `select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
       array(
         select child.relname::text
         from pg_inherits join pg_class as child on child.oid = pg_inherits.inhrelid
         where pg_inherits.inhparent = $1::regclass
       ) as partitions`,
    [table],
  );
  const row = result.rows[0];
  if (row === undefined) throw new Error('a query for one row gave none');
  return { nowMs: row.now_ms, partitions: new Set(row.partitions) };
}

async function makeAhead(
  client: Client,
  { table }: DayPartitions,
  { nowMs, partitions }: Stock,
): Promise<void> {
  const days = Array.from({ length: DAYS_AHEAD }, (_, ahead) => nowMs + ahead * DAY_MS);
  const missing = days.filter((dayMs) => !partitions.has(nameOf(table, dayOf(dayMs))));
  // Nobody adds a row to the default partition between the look at it and the new partition.
  if (missing.length > 0) await client.query(`lock table ${table} in access exclusive mode`);
  for (const dayMs of missing) {
    const from = dayOf(dayMs);
    const to = dayOf(dayMs + DAY_MS);
    const early = await client.query(
      `select from ${table}_default where recorded_at >= $1 and recorded_at < $2 limit 1`,
      [`${from}T00:00:00Z`, `${to}T00:00:00Z`],
    );
    // Rows of the day stand in the default partition already: the day stays there.
    if (early.rowCount !== 0) continue;
    await client.query(
      `create table ${table}_${suffixOf(from)} partition of ${table}
       for values from ('${from}T00:00:00Z') to ('${to}T00:00:00Z')`,
    );
  }
}

async function dropOld(
  client: Client,
  { table, retentionMs }: DayPartitions,
  { nowMs, partitions }: Stock,
): Promise<void> {
  const oldestMs = nowMs - retentionMs;
  const oldest = nameOf(table, dayOf(oldestMs));
  const [schema] = table.split('.');
  for (const name of partitions) {
    if (/_\d{8}$/.test(name) && name < oldest) await client.query(`drop table ${schema}.${name}`);
  }
  await client.query(`delete from ${table}_default where recorded_at < $1`, [new Date(oldestMs)]);
}

/** The partition's name without its schema. */
function nameOf(table: string, day: string): string {
  return `${table.split('.').at(-1)}_${suffixOf(day)}`;
}

function suffixOf(day: string): string {
  return day.replaceAll('-', '');
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
