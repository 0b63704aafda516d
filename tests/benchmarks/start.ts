import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { startGuard } from '../cluster/guard.ts';
import type { Guard } from '../cluster/guard.ts';
import { chooseAddresses, inherited, toSettings } from '../system/addresses.ts';
import { READY_LINE } from '../system/service-process.ts';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { microsecondsNow, secondsSince } from './measuring/clock.ts';
import { cpuSecondsOf, sharedMegabytes } from './measuring/process-usage.ts';
import { inTurns } from './measuring/rounds.ts';
import { spread } from './measuring/spread.ts';

const ROUNDS = { quick: 1, usual: 5, full: 10 } as const;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NPM_START = ['npm', 'start'] as const;
/** What `npm start` runs in the end, without npm and the look at what is installed. */
const MAIN = [process.execPath, 'services/standalone/src/main.ts'] as const;

interface Folder {
  readonly path: string;
  /** Ends what runs on it with this process. */
  readonly guard: Guard;
}

interface Start {
  readonly seconds: number;
  /** Of everything that the command started, until it was ready. */
  readonly cpuSeconds: number;
  readonly megabytes: number;
}

/**
 * From the command to `Billhook is ready`, on a machine on which everything is installed: on a new
 * folder, on one that is there, and without what npm adds.
 */
export async function measureStart(run: BenchmarkRun): Promise<readonly Table[]> {
  const kept = await makeFolder(run);
  // What is read from the disk for the first time is not what is meant.
  await startOnce(run, NPM_START, kept);
  const rounds = run.rounds ?? ROUNDS[run.size];
  const [first = [], later = [], direct = []] = await inTurns(rounds, [
    async () => startOnce(run, NPM_START, await makeFolder(run)),
    () => startOnce(run, NPM_START, kept),
    () => startOnce(run, MAIN, kept),
  ]);
  const rows = [
    toRow('npm start, new folder', first),
    toRow('npm start, existing folder', later),
    toRow('node alone, existing folder', direct),
  ];
  return [{ title: 'From the command to ready', rows }];
}

function toRow(start: string, starts: readonly Start[]): Row {
  return {
    start,
    seconds: spread(starts.map(({ seconds }) => seconds)),
    cpuSeconds: spread(starts.map(({ cpuSeconds }) => cpuSeconds)),
    megabytes: spread(starts.map(({ megabytes }) => megabytes)),
  };
}

/** Makes a folder that goes with the run, and the Postgres that is left in it as well. */
async function makeFolder({ opened }: BenchmarkRun): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'billhook-bench-'));
  opened.defer(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
  // Open to other users, because Postgres does not run as root.
  await chmod(path, 0o755);
  const guard = startGuard(join(path, 'postgres'));
  opened.defer(() => guard.close());
  return { path, guard };
}

/** Starts it, and ends it in order. */
async function startOnce(
  { opened }: BenchmarkRun,
  [program, ...args]: readonly [string, ...string[]],
  { path, guard }: Folder,
): Promise<Start> {
  const addresses = toSettings(await chooseAddresses());
  const startedAtMicros = microsecondsNow();
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...inherited(), ...addresses, BILLHOOK_DATA_DIR: path },
    // A group of its own, all of which is ended.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await using running = new AsyncDisposableStack();
  const { pid = 0 } = child;
  running.defer(() => guard.forget(pid));
  running.use(endGroup(child));
  opened.use(running);
  guard.watch(pid);
  await untilReady(child.stdout);
  const seconds = secondsSince(startedAtMicros);
  return { seconds, cpuSeconds: cpuSecondsOf([pid]), megabytes: sharedMegabytes([pid]) };
}

/** @throws when it ends before it is ready. */
async function untilReady(output: Readable): Promise<void> {
  for await (const line of createInterface({ input: output })) {
    if (line !== READY_LINE) continue;
    // What it says later must not fill the pipe.
    output.resume();
    return;
  }
  throw new Error('it has ended before it was ready');
}

function endGroup(child: ChildProcess): AsyncDisposable {
  const ended = once(child, 'exit');
  return {
    async [Symbol.asyncDispose]() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
      await ended;
    },
  };
}
