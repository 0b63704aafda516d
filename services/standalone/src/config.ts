import { resolve } from 'node:path';
import { ConfigurationError, readSettings } from '@billhook/runtime';
import type { ProcessConfiguration, Settings } from '@billhook/runtime';

/** Where the events and everything else are kept. */
export type Storage =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | { readonly kind: 'own'; readonly databaseUrl: string };

export interface StandaloneConfig extends ProcessConfiguration {
  readonly settings: Settings;
  readonly storage: Storage;
}

/** What a stop keeps of its time for the embedded Postgres, which is stopped last. */
const POSTGRES_STOP_MS = 3_000;

/**
 * Reads the configuration of a process that runs all services.
 *
 * @throws ConfigurationError that names the variable.
 */
export function readStandaloneConfig(env: NodeJS.ProcessEnv): StandaloneConfig {
  const settings = readSettings(env);
  const { logLevel, shutdownTimeoutMs } = settings;
  return {
    logLevel,
    shutdownTimeoutMs,
    settings: {
      ...settings,
      shutdownTimeoutMs: Math.max(shutdownTimeoutMs - POSTGRES_STOP_MS, 1),
    },
    storage: chooseStorage(settings),
  };
}

/** Whoever runs a Postgres keeps the key outside of it, and backs both up. */
function chooseStorage({ databaseUrl, dataDir, secretKeys }: Settings): Storage {
  if (databaseUrl === undefined) {
    return { kind: 'embedded', dataDir: resolve(dataDir) };
  }
  if (secretKeys.length === 0) {
    throw new ConfigurationError(
      'BILLHOOK_SECRET_KEY is required with BILLHOOK_DATABASE_URL: make one with ' +
        '"openssl rand -base64 32", and keep it.',
    );
  }
  return { kind: 'own', databaseUrl };
}
