import { expect, test } from 'vitest';
import { createKey, createSecret } from './secret.ts';

test('a secret is whsec_ and the base64 of 32 bytes', () => {
  const secret = createSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(Buffer.from(secret.slice('whsec_'.length), 'base64')).toHaveLength(32);
});

test('no secret and no key is made twice', () => {
  const made = Array.from({ length: 1_000 }, () => [createSecret(), createKey()]).flat();
  expect(new Set(made).size).toBe(2_000);
});
