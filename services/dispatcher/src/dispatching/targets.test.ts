import { createKey, createSecret, createSecretBox } from '@billhook/secrets';
import { describe, expect, test } from 'vitest';
import type { EncryptedSecret, WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { createSigningKey, sign } from '../webhook/signature.ts';
import { createTargets } from './targets.ts';

const secretBox = createSecretBox([createKey()]);
const endpointId = 'ep_1';

function endpointWith(changes: Partial<WatchedEndpoint>): WatchedEndpoint {
  return {
    tenant: 'default',
    endpointId,
    url: 'https://example.com/webhook?a=1',
    origin: 'https://example.com',
    state: 'active',
    subscriptions: [],
    secrets: [],
    encryptedHeaders: undefined,
    rateLimitPerSecond: undefined,
    timeoutMs: undefined,
    maxInFlight: undefined,
    circuitFailures: undefined,
    circuitLongestWaitMs: undefined,
    renewedAtMs: 0,
    ...changes,
  };
}

function encrypted(secret: string, validUntilMs?: number): EncryptedSecret {
  return { ciphertext: secretBox.encrypt(secret, endpointId), validUntilMs };
}

describe('a target', () => {
  test('is prepared once for as long as the endpoint does not change', () => {
    const targetOf = createTargets(secretBox);
    const endpoint = endpointWith({ secrets: [encrypted(createSecret())] });
    const target = targetOf(endpoint);
    expect(target.address).toEqual({ origin: 'https://example.com', path: '/webhook?a=1' });
    expect(target.headers).toEqual([]);
    expect(targetOf(endpoint)).toBe(target);
    expect(targetOf({ ...endpoint })).not.toBe(target);
  });

  test('has the headers of the endpoint as names and values in turn', () => {
    const headers = [
      { name: 'authorization', value: 'Bearer x' },
      { name: 'x-key', value: 'y' },
    ];
    const encryptedHeaders = secretBox.encryptHeaders(headers, endpointId);
    const target = createTargets(secretBox)(endpointWith({ encryptedHeaders }));
    expect(target.headers).toEqual(['authorization', 'Bearer x', 'x-key', 'y']);
  });

  test('is none while a secret or the headers cannot be read', () => {
    const other = createSecretBox([createKey()]);
    const targetOf = createTargets(secretBox);
    const ciphertext = other.encrypt(createSecret(), endpointId);
    const secrets = [{ ciphertext, validUntilMs: undefined }];
    expect(() => targetOf(endpointWith({ secrets }))).toThrow('a key that is not configured');
    const encryptedHeaders = other.encryptHeaders([], endpointId);
    expect(() => targetOf(endpointWith({ encryptedHeaders }))).toThrow('not configured');
  });
});

test('all secrets sign until their time is over, the newest first, and only then no more', () => {
  const [newest, second, oldest] = [createSecret(), createSecret(), createSecret()];
  const secrets = [encrypted(newest), encrypted(second, 2_000), encrypted(oldest, 1_000)];
  const { keys } = createTargets(secretBox)(endpointWith({ secrets }));
  const signedAt = (sentAtMs: number, by: readonly string[]) =>
    by.map((secret) => sign([createSigningKey(secret)], contentAt(sentAtMs))).join(' ');
  expect(sign(keys, contentAt(999))).toBe(signedAt(999, [newest, second, oldest]));
  expect(sign(keys, contentAt(1_000))).toBe(signedAt(1_000, [newest, second]));
  expect(sign(keys, contentAt(1_999))).toBe(signedAt(1_999, [newest, second]));
  expect(sign(keys, contentAt(2_000))).toBe(signedAt(2_000, [newest]));
});

function contentAt(sentAtMs: number) {
  return { id: 'evt_1', sentAtMs, body: Buffer.from('{}') };
}
