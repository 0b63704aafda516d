/**
 * Runs every check but the tests: `npm run check`. All of them run, also after one has failed; what
 * a failed one printed is shown. With `--report=<file>` the counts are written there as JSON.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'failed'; readonly output: string };

interface Check {
  readonly name: string;
  run(): Outcome;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Folders that are no packages, and so are not among the references of the root project. One that
 * is there must have a project file, so that nothing stays unchecked.
 */
const looseProjects = ['scripts', 'tests'];

const checks: readonly Check[] = [
  { name: 'format', run: () => command('prettier', ['--check', '.']) },
  { name: 'lint', run: () => command('oxlint', ['--type-aware', '--deny-warnings']) },
  { name: 'types', run: () => command('tsc', ['-b', '.', ...presentProjects()]) },
  { name: 'proto lint', run: () => command('buf', ['lint']) },
  { name: 'proto compatibility', run: checkCompatibility },
  { name: 'generated code', run: () => command('node', ['scripts/generate.ts', '--check']) },
  { name: 'dead code', run: () => command('knip', []) },
];

process.exitCode = runChecks();

/** @returns the exit code. */
function runChecks(): number {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const check of checks) {
    const startedAtMs = performance.now();
    const outcome = check.run();
    counts[outcome.kind] += 1;
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
    console.log(`${outcome.kind.padEnd(8)} ${check.name} (${seconds} s)`);
    if (outcome.kind === 'skipped') console.log(`         ${outcome.reason}`);
    if (outcome.kind === 'failed') console.log(outcome.output.trimEnd());
  }
  console.log(`${counts.passed} checks passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  writeReport(counts);
  return counts.failed === 0 ? 0 : 1;
}

function writeReport(counts: object): void {
  const prefix = '--report=';
  const file = process.argv.find((argument) => argument.startsWith(prefix))?.slice(prefix.length);
  if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
}

function presentProjects(): readonly string[] {
  return looseProjects.filter((folder) => existsSync(join(root, folder)));
}

/** Compares the contracts with the last release, or with what `main` holds at the origin. */
function checkCompatibility(): Outcome {
  const baseline = lastTag() ?? originMain();
  if (baseline === undefined) {
    return {
      kind: 'skipped',
      reason: 'There is no tag and no other state of origin/main to compare the contracts with.',
    };
  }
  return command('buf', ['breaking', '--against', `.git#ref=${baseline}`]);
}

function lastTag(): string | undefined {
  return git(['describe', '--tags', '--abbrev=0']);
}

function originMain(): string | undefined {
  const main = git(['rev-parse', '--verify', '--quiet', 'origin/main']);
  return main === git(['rev-parse', 'HEAD']) ? undefined : main;
}

/** @returns what git prints, or undefined if it fails or is not there. */
function git(args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function command(name: string, args: readonly string[]): Outcome {
  const bin = join(root, 'node_modules', '.bin');
  const result = spawnSync(name, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status === 0) return { kind: 'passed' };
  const reason = result.error ? `${name} did not run: ${result.error.message}\n` : '';
  return { kind: 'failed', output: `${reason}${result.stdout ?? ''}${result.stderr ?? ''}` };
}
