import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { readHeaders, writeHeaders } from './headers.ts';
import type { EndpointHeader } from './headers.ts';

/** Encrypts the secrets of endpoints, and the headers of their own, at rest. */
export interface SecretBox {
  /** Encrypts with the first key. The result opens for the same endpoint only. */
  encrypt(secret: string, endpointId: string): Buffer;
  /** @throws SecretBoxError when no key fits, or the bytes belong to another endpoint. */
  decrypt(ciphertext: Uint8Array, endpointId: string): string;
  /** Encrypts all headers of an endpoint as one, so that none of them can be exchanged. */
  encryptHeaders(headers: readonly EndpointHeader[], endpointId: string): Buffer;
  /** @throws SecretBoxError as `decrypt`, and for what is a secret. */
  decryptHeaders(ciphertext: Uint8Array, endpointId: string): readonly EndpointHeader[];
  /** Whether the first key made the bytes; else they should be encrypted anew. */
  isCurrent(ciphertext: Uint8Array): boolean;
  /** Makes the value by which the same keys are known again, to be kept beside the secrets. */
  createCheckValue(): Buffer;
  /** Whether one of the keys made the check value. */
  verifies(checkValue: Uint8Array): boolean;
}

/** A key or a ciphertext that cannot be used. The message holds neither. */
export class SecretBoxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SecretBoxError';
  }
}

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

// A ciphertext is: format, key id, nonce, encrypted bytes, tag.
const FORMAT = 1;
const FORMAT_LENGTH = 1;
const KEY_ID_LENGTH = 8;
const TAG_LENGTH = 16;
const KEY_LENGTH = 32;

/** Random nonces of this length are safe for 2^32 encryptions by a key (NIST SP 800-38D, 8.3). */
const NONCE_LENGTH = 12;

const HEADER_LENGTH = FORMAT_LENGTH + KEY_ID_LENGTH + NONCE_LENGTH;
const CIPHER = 'aes-256-gcm';

/** What the tag covers beside the bytes, so that no kind can stand in for another. */
const SECRET_SCOPE = 'billhook endpoint secret\0';
const HEADERS_SCOPE = 'billhook endpoint headers\0';
const CHECK_SCOPE = 'billhook key check\0';
const CHECK_TEXT = 'billhook';

/**
 * Makes a box of AES-256-GCM.
 *
 * @param keys base64 of 32 bytes each; the first encrypts, all decrypt.
 * @throws SecretBoxError when there is no key, or one is not such a key.
 */
export function createSecretBox(keys: readonly string[]): SecretBox {
  const all = keys.map(readKey);
  const [first] = all;
  if (first === undefined) {
    throw new SecretBoxError('There is no key to encrypt secrets with.');
  }
  return {
    encrypt: (secret, endpointId) => seal(first, secret, SECRET_SCOPE + endpointId),
    decrypt: (ciphertext, endpointId) => open(all, ciphertext, SECRET_SCOPE + endpointId),
    encryptHeaders: (headers, endpointId) =>
      seal(first, writeHeaders(headers), HEADERS_SCOPE + endpointId),
    decryptHeaders: (ciphertext, endpointId) =>
      readHeaders(open(all, ciphertext, HEADERS_SCOPE + endpointId)),
    isCurrent: (ciphertext) => keyIdOf(ciphertext).equals(first.id),
    createCheckValue: () => seal(first, CHECK_TEXT, CHECK_SCOPE),
    verifies: (checkValue) => {
      try {
        return open(all, checkValue, CHECK_SCOPE) === CHECK_TEXT;
      } catch (error) {
        if (error instanceof SecretBoxError) {
          return false;
        }
        throw error;
      }
    },
  };
}

function readKey(text: string): Key {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== KEY_LENGTH || bytes.toString('base64') !== text) {
    throw new SecretBoxError(`A key must be ${KEY_LENGTH} bytes in base64.`);
  }
  const id = Buffer.from(hkdfSync('sha256', bytes, '', 'billhook key id', KEY_ID_LENGTH));
  return { id, bytes };
}

function seal(key: Key, text: string, scope: string): Buffer {
  const nonce = randomBytes(NONCE_LENGTH);
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(Buffer.from(scope));
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(FORMAT), key.id, nonce, encrypted, cipher.getAuthTag()]);
}

function open(keys: readonly Key[], ciphertext: Uint8Array, scope: string): string {
  const keyId = keyIdOf(ciphertext);
  const key = keys.find((candidate) => candidate.id.equals(keyId));
  if (key === undefined) {
    throw new SecretBoxError('The secret was encrypted with a key that is not configured.');
  }
  const nonce = ciphertext.subarray(FORMAT_LENGTH + KEY_ID_LENGTH, HEADER_LENGTH);
  const decipher = createDecipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(Buffer.from(scope));
  decipher.setAuthTag(ciphertext.subarray(-TAG_LENGTH));
  const encrypted = ciphertext.subarray(HEADER_LENGTH, -TAG_LENGTH);
  try {
    return Buffer.concat([decipher.update(encrypted), decipher.final()]).toString('utf8');
  } catch (error) {
    throw new SecretBoxError('The secret was changed, or belongs to another endpoint.', {
      cause: error,
    });
  }
}

function keyIdOf(ciphertext: Uint8Array): Buffer {
  if (ciphertext.length < HEADER_LENGTH + TAG_LENGTH || ciphertext[0] !== FORMAT) {
    throw new SecretBoxError('The bytes are no encrypted secret of a format that is known.');
  }
  return Buffer.from(ciphertext.subarray(FORMAT_LENGTH, FORMAT_LENGTH + KEY_ID_LENGTH));
}
