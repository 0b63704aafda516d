import { mkdir, realpath } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { chooseIdentity } from './account.ts';
import { findBinaries } from './binaries.ts';
import {
  DATABASE_USER,
  clusterExists,
  clusterFiles,
  createCluster,
  readPassword,
} from './cluster.ts';
import type { ClusterFiles } from './cluster.ts';
import { EmbeddedPostgresError } from './errors.ts';
import { launchPostmaster } from './launch.ts';
import { isPostmaster, readPostmaster, removeStaleLock, stopPostmaster } from './postmaster.ts';
import { answers } from './probe.ts';
import type { Durability } from './server-settings.ts';

export interface EmbeddedPostgresOptions {
  /** A folder for Postgres alone; it is made when it does not exist. */
  readonly dataDir: string;
  /** Told what takes long, such as making the database. */
  readonly log?: (line: string) => void;
  /** Told once when the server ends although nobody has stopped it. */
  readonly onLost?: () => void;
  /** `full` unless a test says otherwise. */
  readonly durability?: Durability;
  /** A free one unless said otherwise: clients that outlive a restart find it on the same one. */
  readonly port?: number;
}

export interface EmbeddedPostgres {
  /** Holds the password: never print it. */
  readonly connectionString: string;
  readonly pid: number;
  /** Whether it was running already, left behind by a process that was killed. */
  readonly adopted: boolean;
  /** Ends open sessions and waits until the server is gone. Calling it again changes nothing. */
  stop(): Promise<void>;
}

/** How long a server that is starting or stopping is waited for. */
const CHANGE_TIMEOUT_MS = 120_000;
const POLL_MS = 20;
const WATCH_MS = 1_000;

/**
 * Starts Postgres on a folder, or adopts the one that runs on it. It listens on loopback only, asks
 * for a password that is kept in the folder, and outlives this process when that is killed. Only one
 * process may use a folder at a time: the caller sees to that.
 *
 * @throws EmbeddedPostgresError that says in a sentence why it cannot run here.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const { durability = 'full', port } = options;
  const binaries = findBinaries();
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  const files = clusterFiles(dataDir);
  const identity = await chooseIdentity(binaries, files.cluster);
  if (!(await clusterExists(files))) {
    log('making the database');
    await createCluster(dataDir, { identity, binaries }, durability);
  }
  const running = await findRunning(files.cluster);
  const server =
    running ?? (await launchPostmaster(files, { identity, binaries }, { durability, port }));
  const stopping = new AbortController();
  if (options.onLost !== undefined) {
    const { onLost } = options;
    void reportLoss(server, files.cluster, { signal: stopping.signal, onLost });
  }
  return {
    connectionString: await connectionString(files, server.port),
    pid: server.pid,
    adopted: running !== undefined,
    stop: once(async () => {
      stopping.abort();
      await stopPostmaster(server.pid, files.cluster);
    }),
  };
}

/** Stops the server that a killed process left running on a folder, if there is one. */
export async function stopLeftPostgres(dataDir: string): Promise<void> {
  const folder = await realpath(dataDir).catch(() => undefined);
  if (folder === undefined) {
    return;
  }
  const { cluster } = clusterFiles(folder);
  const running = await findRunning(cluster);
  if (running !== undefined) {
    await stopPostmaster(running.pid, cluster);
  }
}

/** Waits for one that is still starting, stopping or dying; clears the lock of one that is gone. */
async function findRunning(
  cluster: string,
): Promise<{ readonly pid: number; readonly port: number } | undefined> {
  const deadlineMs = performance.now() + CHANGE_TIMEOUT_MS;
  for (;;) {
    const state = await readPostmaster(cluster);
    switch (state.kind) {
      case 'absent':
        return undefined;
      case 'stale':
        await removeStaleLock(cluster);
        return undefined;
      case 'ready':
        if (await answers(state.port)) {
          return state;
        }
        break;
      case 'changing':
    }
    if (performance.now() > deadlineMs) {
      throw new EmbeddedPostgresError(
        `The Postgres with process id ${state.pid} on ${cluster} has not answered for ` +
          `${CHANGE_TIMEOUT_MS / 1_000} s: see postgres.log beside it, or end that process.`,
      );
    }
    await sleep(POLL_MS);
  }
}

async function connectionString(files: ClusterFiles, port: number): Promise<string> {
  const password = await readPassword(files);
  return `postgres://${DATABASE_USER}:${password}@127.0.0.1:${port}/postgres`;
}

/** An adopted server is no child of ours, so that the system does not tell us of its end. */
async function reportLoss(
  server: { readonly pid: number },
  cluster: string,
  options: { readonly signal: AbortSignal; readonly onLost: () => void },
): Promise<void> {
  while (await isPostmaster(server.pid, cluster)) {
    await sleep(WATCH_MS, undefined, { ref: false });
    if (options.signal.aborted) {
      return;
    }
  }
  if (!options.signal.aborted) {
    options.onLost();
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => (result ??= work());
}
