/**
 * Runs all tests: `npm test`. What follows `--` goes to vitest, such as a path or `--project unit`.
 *
 * All temporary files of the run lie in one folder, so that a run that is cut off leaves nothing
 * behind either: vitest cleans nothing up when it gets a signal.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stopLeftPostgres } from '@billhook/embedded-postgres';

const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

process.exitCode = await runTests(process.argv.slice(2));

/** @returns the exit code. */
async function runTests(args: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-tests-'));
  // Open to other users, because Postgres does not run as root.
  await chmod(folder, 0o755);
  try {
    return await runVitest(args, folder);
  } finally {
    await stopServers(folder);
    // A program that was being waited for may write for a moment longer.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function runVitest(args: readonly string[], folder: string): Promise<number> {
  const tests = spawn(process.execPath, [vitest, 'run', ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder },
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to vitest as well; what a supervisor sends reaches this process only.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => tests.kill('SIGTERM'));
  await once(tests, 'exit');
  const { exitCode, signalCode } = tests;
  return signalCode === null ? (exitCode ?? 1) : 128 + constants.signals[signalCode];
}

/** Postgres lives in a session of its own: it outlives whoever started it. */
async function stopServers(folder: string): Promise<void> {
  const paths = await readdir(folder, { recursive: true });
  for (const path of paths.filter((name) => basename(name) === 'postmaster.pid')) {
    await stopLeftPostgres(join(folder, dirname(dirname(path))));
  }
}
