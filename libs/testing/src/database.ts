import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';

/** A database that nobody else uses. */
export interface TestDatabase {
  readonly connectionString: string;
  /** Ends what is still connected and removes the database. */
  drop(): Promise<void>;
}

/** A pool that has ended may still be seen by the server for a moment. */
const LEAK_GRACE_MS = 2_000;
const POLL_MS = 20;

/** Makes a fresh, empty database on the server of this test run. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await onServer((client) => client.query(`create database ${name} template template0`));
  const url = new URL(inject('testDatabaseUrl'));
  url.pathname = `/${name}`;
  return {
    connectionString: url.href,
    drop: () => onServer((client) => client.query(`drop database if exists ${name} with (force)`)),
  };
}

/**
 * Gives the test file a fresh database. The file fails when it leaves a connection open, because a
 * pool that nobody ends is a leak in the code under test or in the test.
 */
export function useTestDatabase(): { readonly connectionString: string } {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    if (database !== undefined) {
      const left = await connectionsLeft(database, LEAK_GRACE_MS);
      await database.drop();
      if (left.length > 0) {
        throw new Error(`the test file left connections open: ${left.join(', ')}`);
      }
    }
  });
  return {
    get connectionString() {
      if (database === undefined) {
        throw new Error('the test database exists from beforeAll on');
      }
      return database.connectionString;
    },
  };
}

/** What is still connected after the grace, by application and last statement. */
export async function connectionsLeft(
  database: TestDatabase,
  graceMs: number,
): Promise<readonly string[]> {
  const name = new URL(database.connectionString).pathname.slice(1);
  const deadlineMs = performance.now() + graceMs;
  let left: readonly string[] = [];
  await onServer(async (client) => {
    do {
      const { rows } = await client.query<{ description: string }>(
        `select format('%s (%s: %s)', coalesce(nullif(application_name, ''), 'unnamed'), state,
                left(query, 60)) as description
         from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
        [name],
      );
      left = rows.map((row) => row.description);
    } while (left.length > 0 && performance.now() < deadlineMs && (await sleep(POLL_MS, true)));
  });
  return left;
}

async function onServer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: inject('testDatabaseUrl') });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
