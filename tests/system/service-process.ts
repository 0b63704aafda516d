import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** What a started system says last. */
export const READY_LINE = 'Billhook is ready';
const READY_TIMEOUT_MS = 60_000;

/** How much of the log is told when a start fails. */
const SHOWN_LOG_LINES = 20;

/** A process of the system. */
export interface Running {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code when the process has ended and its output is read. */
  readonly ended: Promise<number | undefined>;
}

/** Where and how a process runs. */
interface ProcessPlace {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Whether the Ctrl-C of a terminal passes it by, so that whoever started it decides when it ends. */
  readonly ownSession?: boolean;
}

/** Starts a program of a service. */
export function run(
  main: string,
  place: ProcessPlace,
  sinks: { readonly output: (line: string) => void; readonly log: (line: string) => void },
): Running {
  const child = spawn(process.execPath, [main], {
    cwd: place.folder,
    env: place.env,
    detached: place.ownSession ?? false,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  readLines(child.stdout, sinks.output);
  readLines(child.stderr, sinks.log);
  endWithThisProcess(child);
  const ended = once(child, 'close').then(() => {
    alive.delete(child);
    return child.exitCode ?? undefined;
  });
  return { pid: child.pid ?? 0, kill: (signal) => child.kill(signal), ended };
}

const alive = new Set<ChildProcess>();

/** A run of tests that is cut off must not leave it behind. */
function endWithThisProcess(child: ChildProcess): void {
  alive.add(child);
  if (!process.listeners('exit').includes(killAlive)) process.on('exit', killAlive);
}

function killAlive(): void {
  alive.forEach((child) => child.kill('SIGKILL'));
}

function readLines(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream }).on('line', take);
}

/** Waits until a process says that it is ready; its log tells why when it does not. */
export async function waitUntilReady(
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
