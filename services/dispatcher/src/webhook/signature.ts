import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';
/** Standard Webhooks 1.0: a secret is 24 to 64 random bytes. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** A secret, ready to sign with. Made once per secret and kept, because making it costs. */
export type SigningKey = KeyObject;

/**
 * Reads a secret of an endpoint.
 *
 * @param secret `whsec_` and the base64 of 24 to 64 bytes.
 * @throws if it is none; the message does not hold it.
 */
export function createSigningKey(secret: string): SigningKey {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : '';
  const bytes = Buffer.from(encoded, 'base64');
  const isBase64 = bytes.toString('base64') === encoded;
  if (!isBase64 || bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES) {
    throw new Error('A secret of an endpoint is not "whsec_" and the base64 of 24 to 64 bytes');
  }
  return createSecretKey(bytes);
}

/** What a signature covers. */
export interface SignedContent {
  /** The `webhook-id`. It holds no `.`, which parts the pieces that are signed. */
  readonly id: string;
  /** The `webhook-timestamp`: seconds since 1970. */
  readonly timestampSeconds: number;
  readonly body: Buffer;
}

/**
 * Signs a delivery after Standard Webhooks 1.0.
 *
 * @param keys the endpoint's secrets, the newest first; more than one while a secret is rotated.
 * @returns the `webhook-signature`: one `v1,<base64>` per key, parted by spaces.
 */
export function sign(keys: readonly SigningKey[], content: SignedContent): string {
  const prefix = `${content.id}.${content.timestampSeconds}.`;
  let signatures = '';
  for (const key of keys) {
    const digest = createHmac('sha256', key).update(prefix).update(content.body).digest('base64');
    signatures += signatures === '' ? `v1,${digest}` : ` v1,${digest}`;
  }
  return signatures;
}
