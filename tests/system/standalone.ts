import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { stopLeftPostgres } from '@billhook/embedded-postgres';
import { findFreePorts } from './free-ports.ts';
import type { Addresses, System, SystemSettings } from './system.ts';

/** The system as `npm start` runs it: one process, and the Postgres that it keeps in its folder. */
export interface Standalone extends System {
  /** Starts a second process on the same folder and waits for its end. */
  startAgain(): Promise<{ readonly exitCode: number | undefined; readonly log: string }>;
  /** Its process id, while it runs. */
  pid(): number;
  /** The process id of its Postgres. */
  postgresPid(): Promise<number>;
}

interface Running {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code when the process has ended and its output is read. */
  readonly ended: Promise<number | undefined>;
}

const main = fileURLToPath(new URL('../../services/standalone/src/main.ts', import.meta.url));
const READY_LINE = 'Billhook is ready';
const READY_TIMEOUT_MS = 60_000;

/** How much of the log is told when a start fails. */
const SHOWN_LOG_LINES = 20;

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
      running = run(folder, env, {
        output: (line) => {
          output.push(line);
          if (line === READY_LINE) ready.resolve();
        },
        log: (line) => log.push(line),
      });
      await waitUntilReady(ready.promise, running.ended, log);
    },
    stop: (...signals) => end(signals),
    async kill() {
      await end(['SIGKILL']);
    },
    async startAgain() {
      const lines: string[] = [];
      const second = run(folder, env, { output: ignore, log: (line) => lines.push(line) });
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

async function chooseAddresses(): Promise<Addresses> {
  const ports = await findFreePorts(4);
  const [gateway = '', invoice = '', subscription = '', delivery = ''] = ports.map(
    (port) => `127.0.0.1:${port}`,
  );
  return { gateway, invoice, subscription, delivery };
}

function toSettings(addresses: Addresses): SystemSettings {
  return {
    BILLHOOK_HTTP_ADDR: addresses.gateway,
    BILLHOOK_INVOICE_ADDR: addresses.invoice,
    BILLHOOK_SUBSCRIPTION_ADDR: addresses.subscription,
    BILLHOOK_DELIVERY_ADDR: addresses.delivery,
  };
}

/** The environment of the tests, without what would configure the system behind their back. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('BILLHOOK_')),
  );
}

function run(
  folder: string,
  env: NodeJS.ProcessEnv,
  sinks: { readonly output: (line: string) => void; readonly log: (line: string) => void },
): Running {
  const child = spawn(process.execPath, [main], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  readLines(child.stdout, sinks.output);
  readLines(child.stderr, sinks.log);
  // A run of tests that is cut off must not leave it behind.
  const killWithTests = () => child.kill('SIGKILL');
  process.once('exit', killWithTests);
  const ended = once(child, 'close').then(() => {
    process.off('exit', killWithTests);
    return child.exitCode ?? undefined;
  });
  return { pid: child.pid ?? 0, kill: (signal) => child.kill(signal), ended };
}

function readLines(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream }).on('line', take);
}

async function waitUntilReady(
  ready: Promise<void>,
  ended: Promise<number | undefined>,
  log: readonly string[],
): Promise<void> {
  const timeout = Promise.withResolvers<never>();
  const fail = (what: string) => {
    timeout.reject(new Error([what, ...log.slice(-SHOWN_LOG_LINES)].join('\n')));
  };
  const timer = setTimeout(() => fail('the system was not ready in time'), READY_TIMEOUT_MS);
  let waiting = true;
  void ended.then((exitCode) => waiting && fail(`the system ended with ${exitCode}`));
  try {
    await Promise.race([ready, timeout.promise]);
  } finally {
    waiting = false;
    clearTimeout(timer);
  }
}

function ignore(): void {}
