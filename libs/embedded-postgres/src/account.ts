import { spawnSync } from 'node:child_process';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Binaries } from './binaries.ts';
import { EmbeddedPostgresError } from './errors.ts';
import { SERVER_ENVIRONMENT } from './server-settings.ts';

/** A user of the machine. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who runs Postgres. Postgres refuses to run as root, so root hands it to another account; where
 * that account cannot enter the folders (below a home of mode 0700), it is given the one capability
 * that opens them, by the `setpriv` of util-linux.
 */
export type Identity =
  | { readonly kind: 'self' }
  | { readonly kind: 'account'; readonly account: Account }
  | { readonly kind: 'capable'; readonly account: Account; readonly capability: Capability };

/** A program call in the shape that `spawn` takes. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
  readonly owner: { readonly uid?: number; readonly gid?: number };
}

type Capability = keyof typeof CAPABILITY_BIT;

/** From linux/capability.h. The first one opens files for reading only, so it is preferred. */
const CAPABILITY_BIT = { dac_read_search: 2n, dac_override: 1n } as const;

/** In this order: whichever exists first. */
const ACCOUNT_NAMES = ['postgres', '_postgres', 'nobody'] as const;

/**
 * Without it access(2), by which Postgres looks at its own programs, leaves the capability out. It
 * grants nothing: the program that is started holds the one capability all the same.
 */
const ACCESS_HEEDS = '--securebits=+no_setuid_fixup';

const ROOT_UID = 0;
const EXECUTE_BIT = 1;

/**
 * @param clusterFolder the folder of the database, which may not exist yet; its owner goes on
 * running it.
 * @throws EmbeddedPostgresError when root finds no account that can do it.
 */
export async function chooseIdentity(binaries: Binaries, clusterFolder: string): Promise<Identity> {
  if (process.getuid?.() !== ROOT_UID) {
    return { kind: 'self' };
  }
  const account = (await ownerOf(clusterFolder)) ?? (await findAccount());
  const identity = await openFolders(account, binaries, clusterFolder);
  assertRuns(identity, binaries);
  return identity;
}

/** How a program is called as that identity. */
export function invocation(
  identity: Identity,
  program: string,
  args: readonly string[],
): Invocation {
  switch (identity.kind) {
    case 'self':
      return { file: program, args, owner: {} };
    case 'account':
      return { file: program, args, owner: identity.account };
    case 'capable': {
      const { account, capability } = identity;
      const drop = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
      const keep = [`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`, ACCESS_HEEDS];
      return { file: 'setpriv', args: [...drop, ...keep, '--', program, ...args], owner: {} };
    }
  }
}

/** The account that files of Postgres must belong to; undefined when that is ourselves. */
export function accountOf(identity: Identity): Account | undefined {
  return identity.kind === 'self' ? undefined : identity.account;
}

async function ownerOf(folder: string): Promise<Account | undefined> {
  const owner = await stat(folder).catch(() => undefined);
  return owner === undefined || owner.uid === ROOT_UID
    ? undefined
    : { uid: owner.uid, gid: owner.gid };
}

async function findAccount(): Promise<Account> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n');
  const users = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.split(':')]));
  for (const name of ACCOUNT_NAMES) {
    const [, , uid, gid] = (users.get(name) ?? []).map(Number);
    if (uid !== undefined && gid !== undefined && uid > ROOT_UID && gid >= 0) {
      return { uid, gid };
    }
  }
  throw new EmbeddedPostgresError(
    'Postgres refuses to run as root, and this machine has neither a user postgres nor nobody: ' +
      'start Billhook as another user, or set BILLHOOK_DATABASE_URL to use your own Postgres.',
  );
}

async function openFolders(
  account: Account,
  binaries: Binaries,
  clusterFolder: string,
): Promise<Identity> {
  const runnable = await admits(binaries.postgres, account);
  const programsOpen = await isOpenAbove(binaries.postgres, account);
  const clusterOpen = await isOpenAbove(dirname(clusterFolder), account);
  if (runnable && programsOpen && clusterOpen) {
    return { kind: 'account', account };
  }
  const wanted: readonly Capability[] = runnable
    ? ['dac_read_search', 'dac_override']
    : ['dac_override'];
  const available = await permittedCapabilities();
  const capability = wanted.find((name) => ((available >> CAPABILITY_BIT[name]) & 1n) === 1n);
  if (capability === undefined) {
    throw closedFolder(account, programsOpen ? clusterFolder : binaries.postgres);
  }
  return { kind: 'capable', account, capability };
}

/** Whether the account may pass through every folder above the path. */
async function isOpenAbove(path: string, account: Account): Promise<boolean> {
  let folder = dirname(await realpath(path));
  while (await admits(folder, account)) {
    if (folder === dirname(folder)) {
      return true;
    }
    folder = dirname(folder);
  }
  return false;
}

/** Whether the account may enter the folder, or run the file. */
async function admits(path: string, account: Account): Promise<boolean> {
  const { uid, gid, mode } = await stat(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & EXECUTE_BIT) === EXECUTE_BIT;
}

/** As a bit set; none where the system has no such thing. */
async function permittedCapabilities(): Promise<bigint> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const permitted = /^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return BigInt(`0x${permitted}`) & BigInt(`0x${bounding}`);
}

/** Tries the call itself: `setpriv` may be missing, or a container may forbid the change of user. */
function assertRuns(identity: Identity, binaries: Binaries): void {
  const { file, args, owner } = invocation(identity, binaries.postgres, ['--version']);
  const result = spawnSync(file, args, {
    ...owner,
    encoding: 'utf8',
    cwd: '/',
    env: SERVER_ENVIRONMENT,
  });
  if (result.status === 0) {
    return;
  }
  if (identity.kind === 'capable') {
    throw closedFolder(identity.account, binaries.postgres);
  }
  const reason = result.error?.message ?? result.stderr.trim();
  throw new EmbeddedPostgresError(
    `Postgres refuses to run as root, and cannot be run as another user here (${reason}): ` +
      'start Billhook as another user, or set BILLHOOK_DATABASE_URL to use your own Postgres.',
  );
}

function closedFolder(account: Account, path: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `Postgres refuses to run as root, and the user with id ${account.uid}, which runs it instead, ` +
      `cannot enter the folders above ${path}: start Billhook as another user, move it to a folder ` +
      'that others can enter, or install setpriv (package util-linux).',
  );
}
