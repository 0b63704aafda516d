import { createHash, randomUUIDv7 } from 'node:crypto';

const PREFIX = 'inv_';
const DERIVED_HEX_DIGITS = 40;

/**
 * The id of an invoice that was created without one but with a `request_id`: the same for every
 * repeat of the call. Changing how it is made would let repeats of older calls through.
 */
export function deriveInvoiceId(tenant: string, requestId: string): string {
  const hash = createHash('sha256').update(`${tenant}\0${requestId}`).digest('hex');
  return PREFIX + hash.slice(0, DERIVED_HEX_DIGITS);
}

/** A fresh id. It starts with the time, so that new rows lie side by side in the index. */
export function randomInvoiceId(): string {
  return PREFIX + randomUUIDv7().replaceAll('-', '');
}
