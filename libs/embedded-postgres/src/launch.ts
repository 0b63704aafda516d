import { spawn } from 'node:child_process';
import { chown, open, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountOf, invocation } from './account.ts';
import type { Identity } from './account.ts';
import type { Binaries } from './binaries.ts';
import type { ClusterFiles } from './cluster.ts';
import { EmbeddedPostgresError } from './errors.ts';
import { readPostmaster } from './postmaster.ts';
import { SERVER_ENVIRONMENT, serverArguments } from './server-settings.ts';
import type { Durability } from './server-settings.ts';

/** How the server runs. */
interface ServerOptions {
  readonly durability: Durability;
  /** A free one if undefined. */
  readonly port: number | undefined;
}

type Outcome =
  | { readonly kind: 'ready'; readonly pid: number; readonly port: number }
  | { readonly kind: 'ended'; readonly output: string };

/** Long enough to replay a full write-ahead log on a slow disk. */
const START_TIMEOUT_MS = 120_000;

/** How long a start waits for what a killed predecessor still holds. */
const RETRY_TIMEOUT_MS = 10_000;
const RETRY_PAUSE_MS = 200;
const POLL_MS = 20;

const LARGEST_LOG_BYTES = 10 * 1024 * 1024;
const OUTPUT_BYTES = 4_096;
const OWNER_ONLY_FILE = 0o600;

/** What passes by itself: backends of a killed postmaster, its lock, a port that was just taken. */
const PASSING =
  /pre-existing shared memory block|lock file .* already exists|could not create any TCP|could not bind/;

/**
 * Starts Postgres in a session of its own, so that neither Ctrl-C nor the end of this process
 * reaches it, and waits until it answers.
 *
 * @throws EmbeddedPostgresError with what Postgres said.
 */
export async function launchPostmaster(
  files: ClusterFiles,
  deps: { readonly identity: Identity; readonly binaries: Binaries },
  { durability, port: wanted }: ServerOptions,
): Promise<{ readonly pid: number; readonly port: number }> {
  const deadlineMs = performance.now() + RETRY_TIMEOUT_MS;
  for (;;) {
    const port = wanted ?? (await findFreePort());
    const args = ['-D', files.cluster, ...serverArguments(port, durability)];
    const outcome = await launchOnce(files, deps, args);
    if (outcome.kind === 'ready') {
      return outcome;
    }
    if (!PASSING.test(outcome.output) || performance.now() > deadlineMs) {
      throw new EmbeddedPostgresError(
        `Postgres did not start on ${files.cluster}: ${outcome.output.trim()}`,
      );
    }
    await sleep(RETRY_PAUSE_MS);
  }
}

async function launchOnce(
  files: ClusterFiles,
  deps: { readonly identity: Identity; readonly binaries: Binaries },
  args: readonly string[],
): Promise<Outcome> {
  const call = invocation(deps.identity, deps.binaries.postgres, args);
  const log = await openLog(files.log, deps.identity);
  const waiting = new AbortController();
  try {
    const logStart = (await log.stat()).size;
    const child = spawn(call.file, call.args, {
      ...call.owner,
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
    });
    child.unref();
    const outcome = await Promise.race([
      ended,
      waitUntilReady(files.cluster, child.pid, waiting.signal),
    ]);
    if (typeof outcome !== 'string') {
      return { kind: 'ready', ...outcome };
    }
    return { kind: 'ended', output: (await readLog(files.log, logStart)) || outcome };
  } finally {
    waiting.abort();
    await log.close();
  }
}

async function waitUntilReady(
  cluster: string,
  pid: number | undefined,
  signal: AbortSignal,
): Promise<{ readonly pid: number; readonly port: number } | string> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!signal.aborted && performance.now() < deadlineMs) {
    const state = await readPostmaster(cluster);
    if (state.kind === 'ready' && state.pid === pid) {
      return { pid: state.pid, port: state.port };
    }
    await sleep(POLL_MS);
  }
  return `it was not ready after ${START_TIMEOUT_MS / 1_000} s`;
}

/** Begins anew when the log has grown large: it is for looking into, not for keeping. */
async function openLog(path: string, identity: Identity) {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  const log = await open(path, size > LARGEST_LOG_BYTES ? 'w' : 'a', OWNER_ONLY_FILE);
  const account = accountOf(identity);
  if (account !== undefined) {
    await chown(path, account.uid, account.gid);
  }
  return log;
}

async function readLog(path: string, from: number): Promise<string> {
  const log = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await log.read(Buffer.alloc(OUTPUT_BYTES), { position: from });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await log.close();
  }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      server.close(() =>
        port === undefined ? reject(new Error('there is no free port')) : resolve(port),
      );
    });
  });
}
