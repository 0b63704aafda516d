import { randomBytes } from 'node:crypto';

/** The prefix of symmetric secrets in Standard Webhooks 1.0, which allows 24 to 64 bytes. */
const SECRET_PREFIX = 'whsec_';
const SECRET_LENGTH_BYTES = 32;

/** AES-256. */
const KEY_LENGTH_BYTES = 32;

/** Makes the secret of an endpoint: `whsec_` and the base64 of 32 random bytes. */
export function createSecret(): string {
  return SECRET_PREFIX + randomBytes(SECRET_LENGTH_BYTES).toString('base64');
}

/** Makes a key for `BILLHOOK_SECRET_KEY`: the base64 of 32 random bytes. */
export function createKey(): string {
  return randomBytes(KEY_LENGTH_BYTES).toString('base64');
}
