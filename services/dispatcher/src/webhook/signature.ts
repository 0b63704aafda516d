import { hash } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';
/** Standard Webhooks 1.0: a secret is 24 to 64 random bytes. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** A block of SHA-256; no secret is longer. */
const BLOCK_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/*
 * HMAC (RFC 2104) by two hashes, each of one buffer: `createHmac` makes two objects for each signature, and
 * takes twice as long. What is signed stands in the first buffer, behind the room for the key.
 */
let innerInput = Buffer.alloc(0);
const outerInput = Buffer.alloc(BLOCK_BYTES + 32);

/** A secret, ready to sign with. It shows nothing of it. */
export class SigningKey {
  /** Wall clock; a secret that another one has followed ends some day. */
  readonly validUntilMs: number;
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** @param secret at most 64 bytes. */
  constructor(secret: Buffer, validUntilMs: number) {
    this.validUntilMs = validUntilMs;
    this.#inner = pad(secret, INNER_PAD);
    this.#outer = pad(secret, OUTER_PAD);
  }

  /** The HMAC of what stands in the buffer, up to a length that counts the room for the key. */
  digest(length: number): string {
    innerInput.set(this.#inner);
    outerInput.set(this.#outer);
    const inner = hash('sha256', innerInput.subarray(0, length), 'latin1');
    outerInput.write(inner, BLOCK_BYTES, 'latin1');
    return hash('sha256', outerInput, 'base64');
  }
}

function pad(secret: Buffer, byte: number): Buffer {
  const key = Buffer.alloc(BLOCK_BYTES, byte);
  for (const [index, value] of secret.entries()) key[index] = value ^ byte;
  return key;
}

/**
 * Reads a secret of an endpoint.
 *
 * @param secret `whsec_` and the base64 of 24 to 64 bytes.
 * @throws if it is none; the message does not hold it.
 */
export function createSigningKey(secret: string, validUntilMs = Infinity): SigningKey {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : '';
  const bytes = Buffer.from(encoded, 'base64');
  const isBase64 = bytes.toString('base64') === encoded;
  if (!isBase64 || bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES) {
    throw new Error('A secret of an endpoint is not "whsec_" and the base64 of 24 to 64 bytes');
  }
  return new SigningKey(bytes, validUntilMs);
}

/** The `webhook-timestamp`: seconds since 1970. */
export function timestampOf(sentAtMs: number): number {
  return Math.floor(sentAtMs / 1_000);
}

/** What a signature covers. */
export interface SignedContent {
  /** The `webhook-id`, in ASCII. It holds no `.`, which parts the pieces that are signed. */
  readonly id: string;
  /** The time of the `webhook-timestamp`, which has whole seconds. */
  readonly sentAtMs: number;
  readonly body: Buffer;
}

/**
 * Signs a delivery after Standard Webhooks 1.0.
 *
 * @param keys the endpoint's secrets, the newest first; more than one while a secret is rotated.
 * @returns the `webhook-signature`: one `v1,<base64>` per key that is valid at the time, parted by
 *   spaces.
 */
export function sign(keys: readonly SigningKey[], content: SignedContent): string {
  const { id, sentAtMs, body } = content;
  const prefix = `${id}.${timestampOf(sentAtMs)}.`;
  const length = BLOCK_BYTES + prefix.length + body.length;
  if (innerInput.length < length) innerInput = Buffer.alloc(2 * length);
  innerInput.write(prefix, BLOCK_BYTES, 'latin1');
  innerInput.set(body, BLOCK_BYTES + prefix.length);
  let signatures = '';
  for (const key of keys) {
    if (sentAtMs >= key.validUntilMs) continue;
    const digest = key.digest(length);
    signatures += signatures === '' ? `v1,${digest}` : ` v1,${digest}`;
  }
  return signatures;
}
