import pg from 'pg';

import type { Client, Pool } from './pool.ts';
import { transaction } from './transaction.ts';

const DAY_MS = 86_400_000;

/** How many days' partitions are made ahead, today's included. */
const DAYS_AHEAD = 3;

const KEEP_EVERY_MS = 3_600_000;

/** After a failure: days are made so far ahead that there is time. */
const RETRY_AFTER_MS = 60_000;

/** How long a change of partitions waits for a lock, and everybody else behind it. */
const LOCK_TIMEOUT_MS = 100;

/** Pages of the default partition from which old rows are deleted at a time. */
const DELETE_FROM_PAGES = 2_000;

/** SQLSTATE: the default partition has a row for the new one. */
const CHECK_VIOLATION = '23514';

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

/** Keeps the partitions of a table from now on. */
export interface PartitionKeeper {
  /** Waits for what is under way. Stop it before the pool ends. */
  stop(): Promise<void>;
}

/**
 * Keeps the partitions of a table at once, and then every hour. What fails is told and tried again
 * soon; nobody need wait for it, because the default partition takes what has no other.
 */
export async function startPartitionKeeper(
  pool: Pool,
  options: DayPartitions & { readonly retryAfterMs?: number },
  onFailure: (error: unknown) => void,
): Promise<PartitionKeeper> {
  const { retryAfterMs = RETRY_AFTER_MS } = options;
  let underWay = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function keep(): Promise<void> {
    const isKept = await keepDayPartitions(pool, options).then(
      () => true,
      (error: unknown) => {
        onFailure(error);
        return false;
      },
    );
    if (isStopped) return;
    timer = setTimeout(
      () => {
        underWay = keep();
      },
      isKept ? KEEP_EVERY_MS : retryAfterMs,
    );
  }

  await keep();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}

/**
 * Makes the coming days' partitions of a table, and drops those whose rows are all older than the
 * retention. The table needs a default partition, `<table>_default`: it takes the rows of days that
 * nobody prepared, so that a process which slept for a week can still write. Several processes may
 * do this at once. Each step is a transaction of its own, and gives up soon where it would have to
 * wait, because whoever wants the table meanwhile waits behind it.
 *
 * @throws AggregateError after all that could be done.
 */
export async function keepDayPartitions(pool: Pool, options: DayPartitions): Promise<void> {
  const { table, retentionMs } = options;
  const { nowMs, partitions } = await takeStock(pool, table);
  const oldestMs = nowMs - retentionMs;
  const days = Array.from({ length: DAYS_AHEAD }, (_, ahead) => dayOf(nowMs + ahead * DAY_MS));
  const missing = days.filter((day) => !partitions.has(nameOf(table, day)));
  const oldest = nameOf(table, dayOf(oldestMs));
  const old = [...partitions].filter((name) => /_\d{8}$/.test(name) && name < oldest);
  const failures: unknown[] = [];
  for (const step of [
    ...missing.map((day) => () => makeDay(pool, table, day)),
    ...old.map((name) => () => drop(pool, table, name)),
    () => deleteFromDefault(pool, table, new Date(oldestMs)),
  ]) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) {
    throw new AggregateError(failures, `the partitions of ${table} could not all be kept`);
  }
}

async function takeStock(pool: Pool, table: string): Promise<Stock> {
  const result = await pool.query<{ now_ms: number; partitions: string[] }>(
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

/**
 * Makes the partition of a day. It is attached when it is there, so that those who write to other
 * days go on meanwhile.
 */
async function makeDay(pool: Pool, table: string, day: string): Promise<void> {
  const name = `${table}_${suffixOf(day)}`;
  const range = [`${day}T00:00:00Z`, `${dayOf(Date.parse(day) + DAY_MS)}T00:00:00Z`];
  try {
    await inTurn(pool, table, async (client) => {
      const known = await client.query(`select where to_regclass($1) is not null`, [name]);
      const early = await client.query(
        `select from ${table}_default where recorded_at >= $1 and recorded_at < $2 limit 1`,
        range,
      );
      // Rows of the day stand in the default partition already: the day stays there.
      if (known.rowCount !== 0 || early.rowCount !== 0) return;
      await client.query(
        `create table ${name}
         (like ${table} including defaults including constraints including indexes)`,
      );
      await client.query(
        `alter table ${table} attach partition ${name}
         for values from ('${range[0]}') to ('${range[1]}')`,
      );
    });
  } catch (error) {
    // A row came after the look.
    if (!(error instanceof pg.DatabaseError) || error.code !== CHECK_VIOLATION) throw error;
  }
}

function drop(pool: Pool, table: string, name: string): Promise<void> {
  const [schema] = table.split('.');
  return inTurn(pool, table, async (client) => {
    await client.query(`drop table if exists ${schema}.${name}`);
  });
}

/** Changes the partitions of a table while no other process does. */
function inTurn(pool: Pool, table: string, work: (client: Client) => Promise<void>): Promise<void> {
  return transaction(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [PARTITION_LOCK, table]);
    await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await work(client);
  });
}

/** The table has no index for it: it is gone through page by page, a part at a time. */
async function deleteFromDefault(pool: Pool, table: string, before: Date): Promise<void> {
  const name = `${table}_default`;
  const size = await pool.query<{ pages: number }>(
    `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as pages`,
    [name],
  );
  const pages = size.rows[0]?.pages ?? 0;
  for (let page = 0; page < pages; page += DELETE_FROM_PAGES) {
    await pool.query(
      `delete from ${name} where ctid >= $1::tid and ctid < $2::tid and recorded_at < $3`,
      [`(${page},0)`, `(${page + DELETE_FROM_PAGES},0)`, before],
    );
  }
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
