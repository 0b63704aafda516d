import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stopLeftPostgres } from '@billhook/embedded-postgres';
import { chooseAddresses, inherited, toSettings } from './addresses.ts';
import { READY_LINE, run, waitUntilReady } from './service-process.ts';
import type { Running } from './service-process.ts';
import type { System, SystemSettings } from './system.ts';

/** The system as `npm start` runs it: one process, and the Postgres that it keeps in its folder. */
export interface Standalone extends System {
  /** Starts a second process on the same folder and waits for its end. */
  startAgain(): Promise<{ readonly exitCode: number | undefined; readonly log: string }>;
  /** Its process id, while it runs. */
  pid(): number;
  /** The process id of its Postgres. */
  postgresPid(): Promise<number>;
}

const MAIN = fileURLToPath(new URL('../../services/standalone/src/main.ts', import.meta.url));
/** Makes a system of one process, with a folder of its own. It is not started yet. */
export async function createStandalone(settings: SystemSettings): Promise<Standalone> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-system-'));
  // Open to other users, because Postgres does not run as root.
  await chmod(folder, 0o755);
  const addresses = await chooseAddresses();
  const env = { ...inherited(), ...settings, ...toSettings(addresses), BILLHOOK_DATA_DIR: folder };
  const output: string[] = [];
  const log: string[] = [];
  let running: Running | undefined;

  async function end(signals: readonly NodeJS.Signals[]): Promise<number | undefined> {
    signals.forEach((signal) => running?.kill(signal));
    const exitCode = await running?.ended;
    running = undefined;
    return exitCode;
  }

  return {
    addresses,
    output,
    log,
    async start() {
      if (running !== undefined) throw new Error('the system runs already');
      const ready = Promise.withResolvers<void>();
      running = run(
        MAIN,
        { folder, env },
        {
          output: (line) => {
            output.push(line);
            if (line === READY_LINE) ready.resolve();
          },
          log: (line) => log.push(line),
        },
      );
      await waitUntilReady(ready.promise, running.ended, log);
    },
    stop: (...signals) => end(signals),
    async kill() {
      await end(['SIGKILL']);
    },
    async startAgain() {
      const lines: string[] = [];
      const second = run(
        MAIN,
        { folder, env },
        { output: ignore, log: (line) => lines.push(line) },
      );
      return { exitCode: await second.ended, log: lines.join('\n') };
    },
    pid: () => running?.pid ?? 0,
    async postgresPid() {
      const lock = await readFile(join(folder, 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
      return Number(lock.split('\n')[0]);
    },
    async remove() {
      await end(['SIGKILL']);
      await stopLeftPostgres(join(folder, 'postgres'));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function ignore(): void {}
