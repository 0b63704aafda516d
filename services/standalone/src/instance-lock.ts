import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigurationError } from '@billhook/runtime';

export interface InstanceLock {
  release(): void;
}

/** SQLITE_BUSY, from sqlite.org/rescode.html. */
const BUSY = 5;

/**
 * Claims the data folder for this process. SQLite locks its file through the operating system, so
 * that the claim ends with the process however that ends, which a number in a file does not.
 *
 * @throws ConfigurationError when another process holds the folder, or it cannot be written to.
 */
export function lockDataFolder(dataDir: string): InstanceLock {
  try {
    mkdirSync(dataDir, { recursive: true });
    const file = new DatabaseSync(join(dataDir, 'instance.lock'));
    file.exec('pragma locking_mode = exclusive; begin exclusive');
    return { release: () => file.close() };
  } catch (error) {
    throw explain(error, dataDir);
  }
}

function explain(error: unknown, dataDir: string): ConfigurationError {
  if (error instanceof Error && 'errcode' in error && error.errcode === BUSY) {
    return new ConfigurationError(
      `Billhook is already running on ${dataDir}: stop it first, or set BILLHOOK_DATA_DIR to ` +
        'another folder.',
      { cause: error },
    );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new ConfigurationError(
    `The folder ${dataDir} cannot be used (${reason}): set BILLHOOK_DATA_DIR to another one.`,
    { cause: error },
  );
}
