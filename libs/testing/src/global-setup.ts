import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres, stopLeftPostgres } from '@billhook/embedded-postgres';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest merges this interface.
  export interface ProvidedContext {
    /** Connection string of a server on which a test may make databases. */
    readonly testDatabaseUrl: string;
  }
}

/** Followed by the number of the process that runs the tests. */
const FOLDER_PREFIX = 'billhook-test-postgres-';

/**
 * Starts one Postgres for all test files of a run, or takes the one that BILLHOOK_TEST_DATABASE_URL
 * names, whose user must be allowed to make databases.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const ownUrl = process.env['BILLHOOK_TEST_DATABASE_URL'];
  if (ownUrl) {
    project.provide('testDatabaseUrl', ownUrl);
    return () => Promise.resolve();
  }
  await removeLeftovers();
  const folder = join(tmpdir(), FOLDER_PREFIX + process.pid);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const postgres = await startEmbeddedPostgres({ dataDir: folder, durability: 'none' });
  project.provide('testDatabaseUrl', postgres.connectionString);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

/** A run that was killed leaves its server behind: the next run stops it. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(tmpdir());
  for (const name of names.filter((candidate) => candidate.startsWith(FOLDER_PREFIX))) {
    if (!isAlive(Number(name.slice(FOLDER_PREFIX.length)))) {
      const folder = join(tmpdir(), name);
      await stopLeftPostgres(folder);
      await rm(folder, { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
