import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EmbeddedKafkaError } from './errors.ts';

const run = promisify(execFile);

const POM = fileURLToPath(new URL('../pom.xml', import.meta.url));

/** Ignored by git, so that a fresh clone fetches again. */
const CACHE = fileURLToPath(
  new URL('../../../node_modules/.cache/billhook-kafka', import.meta.url),
);

const FETCH_TIMEOUT_MS = 300_000;
const NAME_CHARACTERS = 16;

/**
 * Fetches the broker's jars through Maven, once for each state of `pom.xml`: 45 files, 43 MB. Two
 * processes may do so at once: each fetches into a folder of its own, and the first one to finish
 * wins.
 *
 * @returns the folder that holds them.
 * @throws EmbeddedKafkaError when Maven cannot fetch them.
 */
export async function fetchJars(cache = CACHE): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(POM))
    .digest('hex');
  const folder = join(cache, version.slice(0, NAME_CHARACTERS));
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const fetched = await mkdtemp(join(cache, 'fetching-'));
  try {
    await copyDependencies(fetched);
    await rename(fetched, folder);
  } catch (error) {
    if (!(await exists(folder))) throw error;
  } finally {
    await rm(fetched, { recursive: true, force: true });
  }
  return folder;
}

async function copyDependencies(folder: string): Promise<void> {
  const args = ['-B', '-q', '-f', POM, 'dependency:copy-dependencies'];
  const options = [`-DoutputDirectory=${folder}`, '-DincludeScope=runtime'];
  try {
    await run('mvn', [...args, ...options], { timeout: FETCH_TIMEOUT_MS });
  } catch (cause) {
    throw new EmbeddedKafkaError(
      `Maven could not fetch the Kafka broker: ${firstError(cause) ?? 'is there a network?'}`,
      { cause },
    );
  }
}

/** Maven prints what went wrong to its standard output, and how to learn more after that. */
function firstError(error: unknown): string | undefined {
  if (!(error instanceof Error && 'stdout' in error)) return undefined;
  return /^\[ERROR\] (.+)$/m.exec(String(error.stdout))?.[1];
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
