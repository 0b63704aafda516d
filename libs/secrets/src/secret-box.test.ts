import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKey, createSecret } from './secret.ts';
import { createSecretBox, SecretBoxError } from './secret-box.ts';

const oldKey = createKey();
const newKey = createKey();
const endpointId = 'ep_1';

describe('a box', () => {
  test('opens what it closed, whatever the text and the endpoint', () => {
    const box = createSecretBox([oldKey]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (secret, id) => {
        expect(box.decrypt(box.encrypt(secret, id), id)).toBe(secret);
      }),
    );
  });

  test('closes the same secret differently each time', () => {
    const box = createSecretBox([oldKey]);
    const secret = createSecret();
    expect(box.encrypt(secret, endpointId)).not.toEqual(box.encrypt(secret, endpointId));
  });

  test('does not open what belongs to another endpoint', () => {
    const box = createSecretBox([oldKey]);
    const ciphertext = box.encrypt(createSecret(), endpointId);
    expect(() => box.decrypt(ciphertext, 'ep_2')).toThrow(SecretBoxError);
  });

  test('does not open what was changed in any bit, or cut', () => {
    const box = createSecretBox([oldKey]);
    const ciphertext = box.encrypt(createSecret(), endpointId);
    for (let bit = 0; bit < ciphertext.length * 8; bit += 1) {
      const changed = Buffer.from(ciphertext);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => box.decrypt(changed, endpointId)).toThrow(SecretBoxError);
    }
    for (let length = 0; length < ciphertext.length; length += 1) {
      expect(() => box.decrypt(ciphertext.subarray(0, length), endpointId)).toThrow(SecretBoxError);
    }
  });

  test('shows nothing of the secret or the key when it fails', () => {
    const box = createSecretBox([oldKey]);
    const secret = createSecret();
    const ciphertext = createSecretBox([newKey]).encrypt(secret, endpointId);
    const decrypt = () => box.decrypt(ciphertext, endpointId);
    expect(decrypt).toThrow('The secret was encrypted with a key that is not configured.');
  });
});

describe('the headers of an endpoint', () => {
  const box = createSecretBox([oldKey]);

  test('are opened as they were closed, in their order', () => {
    const header = fc.record({ name: fc.string(), value: fc.string() });
    fc.assert(
      fc.property(fc.array(header), (headers) => {
        const ciphertext = box.encryptHeaders(headers, endpointId);
        expect(box.decryptHeaders(ciphertext, endpointId)).toEqual(headers);
      }),
    );
  });

  test('are no secret, and a secret is no headers', () => {
    const headers = box.encryptHeaders([{ name: 'a', value: 'b' }], endpointId);
    expect(() => box.decrypt(headers, endpointId)).toThrow(SecretBoxError);
    const secret = box.encrypt('[["a","b"]]', endpointId);
    expect(() => box.decryptHeaders(secret, endpointId)).toThrow(SecretBoxError);
  });

  test('of another endpoint are not opened', () => {
    const headers = box.encryptHeaders([{ name: 'a', value: 'b' }], endpointId);
    expect(() => box.decryptHeaders(headers, 'ep_2')).toThrow(SecretBoxError);
  });
});

describe('while keys are rotated', () => {
  test('the first key encrypts, and all decrypt', () => {
    const ciphertext = createSecretBox([oldKey]).encrypt('whsec_x', endpointId);
    const both = createSecretBox([newKey, oldKey]);
    expect(both.decrypt(ciphertext, endpointId)).toBe('whsec_x');
    expect(both.isCurrent(ciphertext)).toBe(false);
    const renewed = both.encrypt('whsec_x', endpointId);
    expect(both.isCurrent(renewed)).toBe(true);
    expect(createSecretBox([newKey]).decrypt(renewed, endpointId)).toBe('whsec_x');
  });

  test('the check value is known by every box that holds its key, and by no other', () => {
    const checkValue = createSecretBox([oldKey]).createCheckValue();
    expect(createSecretBox([oldKey]).verifies(checkValue)).toBe(true);
    expect(createSecretBox([newKey, oldKey]).verifies(checkValue)).toBe(true);
    expect(createSecretBox([newKey]).verifies(checkValue)).toBe(false);
    expect(createSecretBox([oldKey]).verifies(Buffer.from('nonsense'))).toBe(false);
  });

  test('a secret is no check value', () => {
    const box = createSecretBox([oldKey]);
    expect(box.verifies(box.encrypt('billhook', ''))).toBe(false);
  });
});

test.each([
  ['no key', []],
  ['a short key', [Buffer.alloc(31).toString('base64')]],
  ['a long key', [Buffer.alloc(33).toString('base64')]],
  ['another alphabet', [`${'_'.repeat(43)}=`]],
  ['a bad second key', [createKey(), 'x']],
])('%s makes no box', (_, keys) => {
  expect(() => createSecretBox(keys)).toThrow(SecretBoxError);
});
