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
  readonly nowMs: number;
  readonly retentionMs: number;
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
    const existing = await listPartitions(client, options.table);
    await makeAhead(client, options, existing);
    await dropOld(client, options, existing);
  });
}

async function listPartitions(client: Client, table: string): Promise<Set<string>> {
  const result = await client.query<{ name: string }>(
    `select child.relname as name
     from pg_inherits join pg_class as child on child.oid = pg_inherits.inhrelid
     where pg_inherits.inhparent = $1::regclass`,
    [table],
  );
  return new Set(result.rows.map(({ name }) => name));
}

async function makeAhead(
  client: Client,
  { table, nowMs }: DayPartitions,
  existing: ReadonlySet<string>,
): Promise<void> {
  for (let ahead = 0; ahead < DAYS_AHEAD; ahead += 1) {
    const from = dayOf(nowMs + ahead * DAY_MS);
    const to = dayOf(nowMs + (ahead + 1) * DAY_MS);
    if (existing.has(nameOf(table, from))) continue;
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
  { table, nowMs, retentionMs }: DayPartitions,
  existing: ReadonlySet<string>,
): Promise<void> {
  const oldestMs = nowMs - retentionMs;
  const oldest = nameOf(table, dayOf(oldestMs));
  const [schema] = table.split('.');
  for (const name of existing) {
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
