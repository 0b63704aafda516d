import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readStandaloneConfig } from './config.ts';

const databaseUrl = 'postgresql://user:password@localhost:5432/billhook';
const key = Buffer.alloc(32, 7).toString('base64');

describe('the configuration of the standalone process', () => {
  test('keeps everything in the data folder by default', () => {
    expect(readStandaloneConfig({}).storage).toEqual({
      kind: 'embedded',
      dataDir: resolve('.billhook'),
    });
  });

  test('uses an own Postgres when one is named, with the key that this needs', () => {
    const env = { BILLHOOK_DATABASE_URL: databaseUrl, BILLHOOK_SECRET_KEY: key };

    expect(readStandaloneConfig(env).storage).toEqual({ kind: 'own', databaseUrl });
    expect(() => readStandaloneConfig({ BILLHOOK_DATABASE_URL: databaseUrl })).toThrow(
      'BILLHOOK_SECRET_KEY is required',
    );
  });

  test('leaves time to stop Postgres after the services', () => {
    const config = readStandaloneConfig({ BILLHOOK_SHUTDOWN_TIMEOUT: '10s' });

    expect(config.shutdownTimeoutMs).toBe(10_000);
    expect(config.settings.shutdownTimeoutMs).toBe(7_000);
  });
});
