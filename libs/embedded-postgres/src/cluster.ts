import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { accountOf, invocation } from './account.ts';
import type { Account, Identity } from './account.ts';
import type { Binaries } from './binaries.ts';
import { EmbeddedPostgresError } from './errors.ts';
import { SERVER_ENVIRONMENT } from './server-settings.ts';
import type { Durability } from './server-settings.ts';

/** What lies in the data folder. */
export interface ClusterFiles {
  /** The files of the database itself. */
  readonly cluster: string;
  readonly password: string;
  readonly log: string;
}

/** The one user of the database: it may do everything. */
export const DATABASE_USER = 'billhook';

/** A cluster that is being made has this prefix until it is complete. */
const UNFINISHED_PREFIX = 'cluster-unfinished-';

const PASSWORD_BYTES = 24;
const OWNER_ONLY_FILE = 0o600;

const execute = promisify(execFile);

export function clusterFiles(dataDir: string): ClusterFiles {
  return {
    cluster: join(dataDir, 'cluster'),
    password: join(dataDir, 'password'),
    log: join(dataDir, 'postgres.log'),
  };
}

/** A folder that cannot be looked into is no absent one: the password must not be made anew. */
export async function clusterExists(files: ClusterFiles): Promise<boolean> {
  try {
    await stat(files.cluster);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return false;
    }
    throw error;
  }
}

/**
 * Makes the cluster and its password. The folder gets its name when it is complete, so that one
 * left by a kill is never taken for a database.
 */
export async function createCluster(
  dataDir: string,
  deps: { readonly identity: Identity; readonly binaries: Binaries },
  durability: Durability,
): Promise<void> {
  const files = clusterFiles(dataDir);
  const account = accountOf(deps.identity);
  await removeUnfinished(dataDir);
  await own(dataDir, account);
  await writePassword(files.password, account);
  const unfinished = join(dataDir, UNFINISHED_PREFIX + randomBytes(4).toString('hex'));
  await mkdir(unfinished, { mode: 0o700 });
  await own(unfinished, account);
  await runInitdb(unfinished, deps, [
    `--pwfile=${files.password}`,
    ...(durability === 'none' ? ['--no-sync'] : []),
  ]);
  await rename(unfinished, files.cluster);
}

export async function readPassword(files: ClusterFiles): Promise<string> {
  return (await readFile(files.password, 'utf8')).trim();
}

/** The program that was making one may outlive a kill of its parent, and write for a moment more. */
async function removeUnfinished(dataDir: string): Promise<void> {
  const names = await readdir(dataDir);
  const unfinished = names.filter((name) => name.startsWith(UNFINISHED_PREFIX));
  for (const name of unfinished) {
    await rm(join(dataDir, name), {
      recursive: true,
      force: true,
      maxRetries: 10,
      retryDelay: 100,
    });
  }
}

async function own(path: string, account: Account | undefined): Promise<void> {
  if (account !== undefined) {
    await chown(path, account.uid, account.gid);
  }
}

/** Made anew for each cluster: the password of an unfinished one was never used. */
async function writePassword(path: string, account: Account | undefined): Promise<void> {
  await rm(path, { force: true });
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  await writeFile(path, `${password}\n`, { mode: OWNER_ONLY_FILE, flag: 'wx' });
  await own(path, account);
}

/** The C locale sorts by bytes: the same on every machine, and no library changes it. */
async function runInitdb(
  folder: string,
  deps: { readonly identity: Identity; readonly binaries: Binaries },
  extraArgs: readonly string[],
): Promise<void> {
  const { file, args, owner } = invocation(deps.identity, deps.binaries.initdb, [
    `--pgdata=${folder}`,
    `--username=${DATABASE_USER}`,
    '--encoding=UTF8',
    '--locale-provider=libc',
    '--locale=C',
    '--auth=scram-sha-256',
    ...extraArgs,
  ]);
  try {
    await execute(file, args, { ...owner, cwd: '/', env: SERVER_ENVIRONMENT });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EmbeddedPostgresError(`The database in ${folder} could not be made: ${reason}`, {
      cause,
    });
  }
}
