import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What a broker keeps in its folder. */
export interface BrokerFiles {
  readonly folder: string;
  readonly data: string;
  readonly properties: string;
  readonly log: string;
  /** Holds the process id of the broker that was started last. */
  readonly pid: string;
}

/** By this name a folder that holds a broker is found. */
const PID_FILE = 'broker.pid';

const STOP_TIMEOUT_MS = 15_000;
const KILL_TIMEOUT_MS = 5_000;
const POLL_MS = 20;

export function brokerFiles(folder: string): BrokerFiles {
  return {
    folder,
    data: join(folder, 'data'),
    properties: join(folder, 'server.properties'),
    log: join(folder, 'broker.log'),
    pid: join(folder, PID_FILE),
  };
}

/**
 * Finds the broker that runs on a folder, whoever started it.
 *
 * @returns its process id.
 */
export async function findRunning(files: BrokerFiles): Promise<number | undefined> {
  const pid = Number(await readFile(files.pid, 'utf8').catch(() => ''));
  return (await isBroker(pid, files)) ? pid : undefined;
}

/**
 * Stops the broker that a killed process left running on a folder, if there is one: where no program
 * ties a process to its parent, brokers live on.
 */
export async function stopLeftKafka(folder: string): Promise<void> {
  const found = await realpath(folder).catch(() => undefined);
  if (found === undefined) return;
  const files = brokerFiles(found);
  const pid = await findRunning(files);
  if (pid === undefined || (await end('SIGTERM', STOP_TIMEOUT_MS))) return;
  await end('SIGKILL', KILL_TIMEOUT_MS);

  async function end(signal: 'SIGTERM' | 'SIGKILL', timeoutMs: number): Promise<boolean> {
    const giveUpAtMs = performance.now() + timeoutMs;
    if (pid !== undefined) process.kill(pid, signal);
    while ((await findRunning(files)) !== undefined) {
      if (performance.now() > giveUpAtMs) return false;
      await sleep(POLL_MS);
    }
    return true;
  }
}

/** A number alone proves nothing: the process must be a broker on this very folder. */
async function isBroker(pid: number, { properties }: BrokerFiles): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  const command = existsSync('/proc/self/cmdline')
    ? (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    : await commandByPs(pid);
  return command.includes(` kafka.Kafka ${properties} `);
}

async function commandByPs(pid: number): Promise<string> {
  const found = await execute('ps', ['-ww', '-p', String(pid), '-o', 'command=']).catch(
    () => undefined,
  );
  return found === undefined ? '' : `${found.stdout.trim()} `;
}
