import { join } from 'node:path';
import { EmbeddedPostgresError, startEmbeddedPostgres } from '@billhook/embedded-postgres';
import { ConfigurationError } from '@billhook/runtime';
import type { Log, Stoppable } from '@billhook/runtime';
import type { StandaloneConfig } from './config.ts';
import { lockDataFolder } from './instance-lock.ts';
import { keepSecretKey } from './secret-key.ts';

export interface OpenStorage extends Stoppable {
  readonly databaseUrl: string;
  readonly secretKeys: readonly string[];
  /** Whether the operating system vouches that no other process uses it. */
  readonly exclusive: boolean;
}

/**
 * Opens what the configuration names: an own Postgres as it is, or the data folder with its lock,
 * its key and its Postgres.
 *
 * @throws ConfigurationError when the folder is in use, or Postgres cannot run here.
 */
export async function openStorage(config: StandaloneConfig, log: Log): Promise<OpenStorage> {
  const { storage, settings } = config;
  switch (storage.kind) {
    case 'own':
      return {
        databaseUrl: storage.databaseUrl,
        secretKeys: settings.secretKeys,
        exclusive: false,
        stop: () => Promise.resolve(),
      };
    case 'embedded':
      return openFolder(storage.dataDir, settings.secretKeys, log);
  }
}

/** The lock comes first and goes last: whoever is refused has touched nothing. */
async function openFolder(
  dataDir: string,
  configuredKeys: readonly string[],
  log: Log,
): Promise<OpenStorage> {
  await using cleanup = new AsyncDisposableStack();
  const lock = lockDataFolder(dataDir);
  cleanup.defer(() => lock.release());
  const secretKeys = configuredKeys.length > 0 ? configuredKeys : [await keepSecretKey(dataDir)];
  const postgres = await startPostgres(join(dataDir, 'postgres'), log);
  cleanup.defer(() => postgres.stop());
  const opened = cleanup.move();
  return {
    databaseUrl: postgres.connectionString,
    secretKeys,
    exclusive: true,
    stop: () => opened.disposeAsync(),
  };
}

async function startPostgres(dataDir: string, log: Log) {
  try {
    const postgres = await startEmbeddedPostgres({
      dataDir,
      log: (line) => log.info(line),
      onLost: () => endWithoutPostgres(log),
    });
    log.debug({ pid: postgres.pid, adopted: postgres.adopted }, 'Postgres is ready');
    return postgres;
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) {
      throw new ConfigurationError(error.message, { cause: error });
    }
    throw error;
  }
}

/** Nothing can be done without it, and a next start repairs what a kill of Postgres left. */
function endWithoutPostgres(log: Log): void {
  log.fatal('the embedded Postgres has ended: start Billhook again');
  process.exit(1);
}
