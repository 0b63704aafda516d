import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EmbeddedKafkaError } from './errors.ts';

const run = promisify(execFile);

const POM = fileURLToPath(new URL('../pom.xml', import.meta.url));

/** Ignored by git and fetched again after a fresh clone. The version stands in `pom.xml`, too. */
const CACHE = fileURLToPath(
  new URL('../../../node_modules/.cache/billhook-kafka', import.meta.url),
);
const VERSION = '4.4.0';

const FETCH_TIMEOUT_MS = 300_000;

/**
 * Fetches the broker's jars through Maven, once for a checkout: about 45 files, 43 MB. Two processes
 * may do so at once: each fetches into a folder of its own, and the first one to finish wins.
 *
 * @returns the folder that holds them.
 * @throws EmbeddedKafkaError when Maven cannot fetch them.
 */
export async function fetchJars(): Promise<string> {
  const folder = join(CACHE, VERSION);
  if (await exists(folder)) return folder;
  await mkdir(CACHE, { recursive: true });
  const fetched = await mkdtemp(join(CACHE, 'fetching-'));
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
  } catch (error) {
    throw new EmbeddedKafkaError('Maven could not fetch the Kafka broker: is there a network?', {
      cause: error,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
