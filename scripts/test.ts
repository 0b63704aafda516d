/**
 * Runs all tests: `npm test`. What follows `--` goes to vitest, such as a path or `--project unit`.
 *
 * Tests of whole systems wait more than they work, so that three runs side by side take hardly longer
 * than the longest of them. Whoever chooses what to run gets one run.
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
import { stopLeftKafka } from '@billhook/embedded-kafka';
import { stopLeftPostgres } from '@billhook/embedded-postgres';

const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

/** The projects of vitest.config.ts that run side by side. */
const groups = [['cluster', 'kafka', 'unit'], ['end-to-end'], ['integration']];

const REPORT_OPTION = '--outputFile.json=';

process.exitCode = await runTests(process.argv.slice(2));

/** @returns the exit code. */
async function runTests(args: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-tests-'));
  // Open to other users, because Postgres does not run as root.
  await chmod(folder, 0o755);
  const runs = isChosen(args) ? [args] : groups.map((projects) => argumentsFor(projects, args));
  try {
    const exitCodes = await Promise.all(runs.map((each) => runVitest(each, folder)));
    return exitCodes.find((code) => code !== 0) ?? 0;
  } finally {
    await stopServers(folder);
    // A program that was being waited for may write for a moment longer.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** Says whether the arguments name what is to be run: anything but how it is reported. */
function isChosen(args: readonly string[]): boolean {
  return args.some((arg) => !arg.startsWith('--reporter') && !arg.startsWith(REPORT_OPTION));
}

/** Each run writes a report of its own: `tests.json` becomes `tests.cluster.json`. */
function argumentsFor(projects: readonly string[], args: readonly string[]): readonly string[] {
  const own = args.map((arg) =>
    arg.startsWith(REPORT_OPTION) ? arg.replace(/(\.json)?$/, `.${projects[0]}.json`) : arg,
  );
  return [...projects.flatMap((project) => ['--project', project]), ...own];
}

async function runVitest(args: readonly string[], folder: string): Promise<number> {
  const tests = spawn(process.execPath, [vitest, 'run', ...args], {
    cwd: root,
    env: {
      ...process.env,
      TMPDIR: folder,
      // Hundreds of processes start in a run: what one has compiled, the others need not.
      NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
    },
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to vitest as well; what a supervisor sends reaches this process only.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => tests.kill('SIGTERM'));
  await once(tests, 'exit');
  const { exitCode, signalCode } = tests;
  return signalCode === null ? (exitCode ?? 1) : 128 + constants.signals[signalCode];
}

/** Servers live in sessions of their own: they may outlive whoever started them. */
async function stopServers(folder: string): Promise<void> {
  for (const path of await readdir(folder, { recursive: true })) {
    const place = join(folder, dirname(path));
    if (basename(path) === 'postmaster.pid') await stopLeftPostgres(dirname(place));
    else if (basename(path) === 'broker.pid') await stopLeftKafka(place);
  }
}
