import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { startEmbeddedPostgres } from '@billhook/embedded-postgres';
import type { EmbeddedPostgres } from '@billhook/embedded-postgres';
import type { Victim } from './copy.ts';

/** A Postgres on loopback that may be killed and frozen. Its port and data stay. */
export interface PostgresServer extends Victim {
  /** Holds the password: never print it. Known from the first start on. */
  readonly connectionString: string;
  /** Ends it in order. */
  stop(): Promise<void>;
}

const execute = promisify(execFile);

const POLL_MS = 10;

/** Makes a Postgres on a folder and a port of its own. It is not started yet. */
export function createPostgresServer(place: {
  readonly folder: string;
  readonly port: number;
}): PostgresServer {
  const { folder, port } = place;
  let running: EmbeddedPostgres | undefined;
  let connectionString = '';

  return {
    name: 'postgres',
    get connectionString() {
      return connectionString;
    },
    get pid() {
      return running?.pid;
    },
    async start() {
      running = await startEmbeddedPostgres({ dataDir: folder, port });
      ({ connectionString } = running);
    },
    async stop() {
      await running?.stop();
      running = undefined;
    },
    async kill() {
      if (running === undefined) return;
      signal(running.pid, 'SIGKILL');
      while (isAlive(running.pid)) await sleep(POLL_MS);
      running = undefined;
    },
    /** The postmaster first, so that no session is added after those that are there are listed. */
    async freeze() {
      if (running === undefined) return;
      signal(running.pid, 'SIGSTOP');
      for (const child of await childrenOf(running.pid)) signal(child, 'SIGSTOP');
    },
    async thaw() {
      if (running === undefined) return;
      for (const child of await childrenOf(running.pid)) signal(child, 'SIGCONT');
      signal(running.pid, 'SIGCONT');
    },
  };
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const { stdout } = await execute('pgrep', ['-P', String(pid)]);
  return stdout.trim().split('\n').map(Number);
}

/** A session may end between being listed and being told. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
