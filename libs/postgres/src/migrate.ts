import { createHash } from 'node:crypto';

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
    // Whoever waits here waits for another process's migrations, however long they take.
    await client.query('set lock_timeout = 0');
    await client.query('select pg_advisory_lock($1, hashtext($2))', [MIGRATION_LOCK, schema]);
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
    for (const migration of migrations.toSorted((one, other) => one.number - other.number)) {
      const known = applied.get(migration.number);
      if (known === undefined) await apply(client, schema, migration);
      else if (known !== hash(migration)) throw changed(schema, migration);
    }
  } finally {
    // The lock and the setting go with the connection.
    client.release(true);
  }
}

async function readApplied(client: Client, schema: string): Promise<Map<number, string>> {
  const result = await client.query<{ number: number; sha256: string }>(
    `select number, sha256 from ${schema}.migration`,
  );
  return new Map(result.rows.map(({ number, sha256 }) => [number, sha256]));
}

async function apply(client: Client, schema: string, migration: Migration): Promise<void> {
  await client.query('begin');
  await client.query(migration.sql);
  await client.query(`insert into ${schema}.migration (number, name, sha256) values ($1, $2, $3)`, [
    migration.number,
    migration.name,
    hash(migration),
  ]);
  await client.query('commit');
}

function hash({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex');
}

function changed(schema: string, { number, name }: Migration): Error {
  return new Error(
    `Migration ${number} (${name}) of schema ${schema} is not the one that was applied: ` +
      `the database belongs to another version of Billhook.`,
  );
}
