import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** What the lock file of a cluster says, checked against the processes that live. */
export type PostmasterState =
  | { readonly kind: 'absent' }
  /** The process it names is gone, or its number now belongs to another program. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'changing'; readonly pid: number }
  | { readonly kind: 'ready'; readonly pid: number; readonly port: number };

/** Lines of `postmaster.pid`, from Postgres' `src/include/utils/pidfile.h`. */
const LOCK_FILE_LINE = { pid: 0, port: 3, status: 7 } as const;

const POLL_MS = 20;
const FAST_STOP_TIMEOUT_MS = 20_000;
const IMMEDIATE_STOP_TIMEOUT_MS = 5_000;

const execute = promisify(execFile);

export async function readPostmaster(cluster: string): Promise<PostmasterState> {
  const text = await readFile(lockFile(cluster), 'utf8').catch(() => undefined);
  if (text === undefined) {
    return { kind: 'absent' };
  }
  const lines = text.split('\n').map((line) => line.trim());
  const pid = Number(lines[LOCK_FILE_LINE.pid]);
  if (!(await isPostmaster(pid, cluster))) {
    return { kind: 'stale' };
  }
  return lines[LOCK_FILE_LINE.status] === 'ready'
    ? { kind: 'ready', pid, port: Number(lines[LOCK_FILE_LINE.port]) }
    : { kind: 'changing', pid };
}

/**
 * Postgres would refuse to start when the number in a stale lock belongs to any living process of
 * the same user, which is likely in a container. Backends that outlived their postmaster still hold
 * the shared memory, so the next start waits for them all the same.
 */
export async function removeStaleLock(cluster: string): Promise<void> {
  await rm(lockFile(cluster), { force: true });
}

/** Ends open sessions, writes a checkpoint and waits for the process to be gone. */
export async function stopPostmaster(pid: number, cluster: string): Promise<void> {
  if (await signal('SIGINT', FAST_STOP_TIMEOUT_MS)) {
    return;
  }
  // Without a checkpoint the next start replays the log: nothing is lost.
  await signal('SIGQUIT', IMMEDIATE_STOP_TIMEOUT_MS);

  async function signal(name: 'SIGINT' | 'SIGQUIT', timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    if (await isPostmaster(pid, cluster)) {
      process.kill(pid, name);
    }
    while (await isPostmaster(pid, cluster)) {
      if (performance.now() > deadlineMs) {
        return false;
      }
      await sleep(POLL_MS);
    }
    return true;
  }
}

/** A number alone proves nothing: the process must be a Postgres on this very folder. */
export async function isPostmaster(pid: number, cluster: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 1) {
    return false;
  }
  const command = existsSync('/proc/self/cmdline')
    ? (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    : await commandByPs(pid);
  return command.includes('postgres') && command.includes(` -D ${cluster} `);
}

async function commandByPs(pid: number): Promise<string> {
  const found = await execute('ps', ['-ww', '-p', String(pid), '-o', 'command=']).catch(
    () => undefined,
  );
  return found === undefined ? '' : `${found.stdout.trim()} `;
}

function lockFile(cluster: string): string {
  return join(cluster, 'postmaster.pid');
}
