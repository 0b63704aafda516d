/**
 * Installs what the workspace needs, when it is not there yet: `npm start`, `npm test` and the like
 * run this first. It runs on the Node that the machine has (20 or newer) and uses no package.
 *
 * With `--quiet` it prints nothing unless something fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 20;
const LOCK_POLL_MS = 200;
const EXIT_CODE = { failed: 1, interrupted: 130, terminated: 143 };

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const node = join(modules, '.bin', 'node');

/** What the packages were installed from. It goes when `node_modules` goes. */
const record = join(modules, '.billhook-installed');

/** A folder, because only one process can make it; it holds the number of that process. */
const lock = join(modules, '.billhook-installing');

let holdsLock = false;

const quiet = process.argv.includes('--quiet');

await main();

async function main() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    fail(`Billhook needs Node ${OLDEST_NODE} or newer; this is ${process.versions.node}.`);
  }
  if (isInstalled()) return;
  await takeLock();
  try {
    // Whoever held the lock before may have done it.
    if (!isInstalled()) await install();
  } finally {
    releaseLock();
  }
}

function isInstalled() {
  return (
    existsSync(record) && existsSync(node) && readFileSync(record, 'utf8') === describeSources()
  );
}

/** A hash over everything that decides which packages are installed. */
function describeSources() {
  const manifests = ['libs', 'services'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(folder, name, 'package.json')),
  );
  const files = [
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
    ...manifests.toSorted((a, b) => (a < b ? -1 : 1)),
  ];
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of files.filter((name) => existsSync(join(root, name)))) {
    hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

async function install() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  say(`Installing the packages of Billhook with ${packageManager}; the first time takes a while.`);
  const args = ['--yes', packageManager, 'install', '--frozen-lockfile', '--prod=false'];
  const { code, output } = await run('npx', args);
  if (code !== 0) {
    fail(`${output}The packages could not be installed: npx ${args.join(' ')} ended with ${code}.`);
  }
  const installed = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (installed.status !== 0) {
    fail(
      'The packages are installed, but node_modules/.bin/node does not run: remove node_modules ' +
        'and start again; the package "node" must be allowed to run its install script.',
    );
  }
  writeFileSync(`${record}.new`, describeSources());
  renameSync(`${record}.new`, record);
  say(`Installed; running on Node ${installed.stdout.trim().slice(1)}.`);
}

/** @returns the exit code (or the name of a signal), and what was printed if that was kept back. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      // Without a terminal to ask, pnpm has to know that it may replace what another version made.
      env: { ...process.env, CI: 'true' },
      stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ code: error.message, output }));
    child.once('close', (code, signal) => resolve({ code: code ?? signal, output }));
    stopWith(child);
  });
}

function stopWith(child) {
  const stop = (signal, exitCode) => () => {
    child.kill(signal);
    child.once('close', () => {
      releaseLock();
      process.exit(exitCode);
    });
  };
  process.once('SIGINT', stop('SIGINT', EXIT_CODE.interrupted));
  process.once('SIGTERM', stop('SIGTERM', EXIT_CODE.terminated));
}

/** Two installations at once would break each other: the second waits for the first. */
async function takeLock() {
  for (let told = false; !tryLock(); told = true) {
    if (!told) say('Another process is installing the packages; waiting for it.');
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    if (isLockLeft()) rmSync(lock, { recursive: true, force: true });
  }
}

function tryLock() {
  try {
    mkdirSync(modules, { recursive: true });
    mkdirSync(lock);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    fail(`Nothing can be installed into ${root}: ${error.message}`);
  }
  writeFileSync(join(lock, 'pid'), String(process.pid));
  holdsLock = true;
  return true;
}

function releaseLock() {
  if (holdsLock) rmSync(lock, { recursive: true, force: true });
}

/** Whether the process that made the lock is gone. */
function isLockLeft() {
  try {
    process.kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH' || (error.code === 'ENOENT' && isOld(lock));
  }
}

/** Between making the lock and writing the number into it lies an instant only. */
function isOld(path) {
  const oldAfterMs = 5_000;
  return existsSync(path) && Date.now() - statSync(path).mtimeMs > oldAfterMs;
}

function say(line) {
  if (!quiet) console.log(line);
}

function fail(reason) {
  releaseLock();
  console.error(reason);
  process.exit(EXIT_CODE.failed);
}
