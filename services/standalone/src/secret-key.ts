import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKey } from '@billhook/secrets';

const OWNER_ONLY_FILE = 0o600;

/**
 * Reads the key that encrypts endpoint secrets from the data folder; makes it at the first start.
 * The file gets its name when it is complete: half a key would lock the secrets away for good.
 */
export async function keepSecretKey(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret-key');
  const kept = await read(path);
  if (kept !== undefined) {
    await chmod(path, OWNER_ONLY_FILE);
    return kept;
  }
  const unfinished = `${path}.new`;
  await rm(unfinished, { force: true });
  const made = createKey();
  await writeFile(unfinished, `${made}\n`, { mode: OWNER_ONLY_FILE, flush: true });
  await rename(unfinished, path);
  return made;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
