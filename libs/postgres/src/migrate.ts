import { createHash } from 'node:crypto';

import type pg from 'pg';

import type { Client, Pool } from './pool.ts';

/** A step of a schema's history. Once released, it does not change any more. */
export interface Migration {
  /** 1, 2, 3, ... within the schema. */
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

export interface MigrateOptions {
  readonly schema: string;
  readonly migrations: readonly Migration[];
}

/** The first key of the advisory locks; the second one is made of the schema's name. */
const MIGRATION_LOCK = 21_101;

/** What a migration may take, and whoever waits for another process's migrations with it. */
const MIGRATION_TIMEOUT_MS = 3_600_000;

/**
 * Brings a schema up to date: forward only, each migration in a transaction of its own, under a
 * lock, so that several processes may start at once.
 *
 * @throws when the history in the database is not a beginning of the one given.
 */
export async function migrate(pool: Pool, options: MigrateOptions): Promise<void> {
  const { schema, migrations } = options;
  const client = await pool.connect();
  try {
    await lock(client, schema);
    await client.query(`create schema if not exists ${schema}`);
    await client.query(
      `create table if not exists ${schema}.migration (
         number integer primary key,
         name text not null,
         sha256 text not null,
         applied_at timestamptz not null default now()
       )`,
    );
    const applied = await readApplied(client, schema);
    const ordered = migrations.toSorted((one, other) => one.number - other.number);
    requireBeginning(applied, schema, ordered);
    for (const migration of ordered.slice(applied.length)) await apply(client, schema, migration);
  } finally {
    // The lock goes with the connection.
    client.release(true);
  }
}

async function lock(client: Client, schema: string): Promise<void> {
  await client.query('set lock_timeout = 0');
  const waiting = unhurried('select pg_advisory_lock($1, hashtext($2))');
  await client.query(waiting, [MIGRATION_LOCK, schema]);
  // A migration that waits for a table keeps everybody else from it: that stays short.
  await client.query('reset lock_timeout');
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly sha256: string;
}

async function readApplied(client: Client, schema: string): Promise<readonly Applied[]> {
  const result = await client.query<Applied>(
    `select number, name, sha256 from ${schema}.migration order by number`,
  );
  return result.rows;
}

function requireBeginning(
  applied: readonly Applied[],
  schema: string,
  migrations: readonly Migration[],
): void {
  for (const [index, { number, name, sha256 }] of applied.entries()) {
    const migration = migrations[index];
    if (migration?.number === number && hash(migration) === sha256) continue;
    throw new Error(
      `Migration ${number} (${name}) was applied to schema ${schema}, and is not known here: ` +
        `the database belongs to another version of Billhook.`,
    );
  }
}

async function apply(client: Client, schema: string, migration: Migration): Promise<void> {
  await client.query('begin');
  await client.query(unhurried(migration.sql));
  await client.query(`insert into ${schema}.migration (number, name, sha256) values ($1, $2, $3)`, [
    migration.number,
    migration.name,
    hash(migration),
  ]);
  await client.query('commit');
}

/** A statement that is not given up when others would be. */
function unhurried(text: string): pg.QueryConfig {
  const statement = { text, query_timeout: MIGRATION_TIMEOUT_MS };
  return statement;
}

function hash({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex');
}
