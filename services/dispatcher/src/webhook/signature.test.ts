import { createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { createSigningKey, sign } from './signature.ts';

const id = 'evt_0192f1c2a7d87c3e9d1f0a1b2c3d4e5f';
const body = Buffer.from('{"event":"ping","data":{"text":"März"}}');

describe('a signature', () => {
  test('is verified by the library of Standard Webhooks', () => {
    const secret = makeSecret(32);
    const timestampSeconds = Math.floor(Date.now() / 1_000);
    const signature = sign([createSigningKey(secret)], {
      id,
      sentAtMs: timestampSeconds * 1_000,
      body,
    });
    const headers = headersOf(timestampSeconds, signature);
    expect(new Webhook(secret).verify(body.toString(), headers)).toEqual(
      JSON.parse(body.toString()),
    );
    expect(() => new Webhook(secret).verify(`${body.toString()} `, headers)).toThrow();
    expect(() => new Webhook(makeSecret(32)).verify(body.toString(), headers)).toThrow();
  });

  test('is the one that the library makes', () => {
    const secret = makeSecret(64);
    const signature = sign([createSigningKey(secret)], {
      id,
      sentAtMs: 1_700_000_000_000,
      body,
    });
    expect(signature).toBe(
      new Webhook(secret).sign(id, new Date(1_700_000_000_000), body.toString()),
    );
  });

  test('has always these bytes', () => {
    const key = createSigningKey(`whsec_${Buffer.alloc(32, 7).toString('base64')}`);
    expect(sign([key], { id, sentAtMs: 1_700_000_000_999, body })).toBe(
      'v1,56bQl4fhWPmgMhV9JZS+2m/LkBvnH+VRiY6jUqe51Ik=',
    );
  });

  test('is the HMAC of what it covers, whatever the secret and the body', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 24, maxLength: 64 }),
        fc.uint8Array({ maxLength: 2_000 }),
        fc.nat(),
        (secret, bytes, timestampSeconds) => {
          const key = createSigningKey(`whsec_${Buffer.from(secret).toString('base64')}`);
          const hmac = createHmac('sha256', secret).update(`${id}.${timestampSeconds}.`);
          expect(
            sign([key], { id, sentAtMs: timestampSeconds * 1_000, body: Buffer.from(bytes) }),
          ).toBe(`v1,${hmac.update(bytes).digest('base64')}`);
        },
      ),
    );
  });

  test('shows nothing of its secret', () => {
    const key = createSigningKey(`whsec_${Buffer.alloc(32, 7).toString('base64')}`);
    expect([inspect(key, { showHidden: true }), JSON.stringify(key)]).toEqual([
      'SigningKey { validUntilMs: Infinity }',
      '{"validUntilMs":null}',
    ]);
  });

  test('is verified with the old and with the new secret while it is rotated', () => {
    const secrets = [makeSecret(32), makeSecret(24)];
    const timestampSeconds = Math.floor(Date.now() / 1_000);
    const signature = sign(
      secrets.map((secret) => createSigningKey(secret)),
      { id, sentAtMs: timestampSeconds * 1_000, body },
    );
    expect(signature).toMatch(/^v1,[\w+/]{43}= v1,[\w+/]{43}=$/);
    for (const secret of secrets) {
      const headers = headersOf(timestampSeconds, signature);
      expect(new Webhook(secret).verify(body.toString(), headers)).toBeDefined();
    }
  });
});

test.each([
  ['has no prefix', makeSecret(32).slice('whsec_'.length)],
  ['is too short', makeSecret(23)],
  ['is too long', makeSecret(65)],
  ['is no base64', `whsec_${'*'.repeat(44)}`],
  ['is empty', ''],
])('a secret that %s is refused without being repeated', (_name, secret) => {
  expect(() => createSigningKey(secret)).toThrow(
    'A secret of an endpoint is not "whsec_" and the base64 of 24 to 64 bytes',
  );
});

function makeSecret(bytes: number): string {
  return `whsec_${randomBytes(bytes).toString('base64')}`;
}

function headersOf(timestampSeconds: number, signature: string): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': `${timestampSeconds}`,
    'webhook-signature': signature,
  };
}
