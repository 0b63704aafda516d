import type { ReceivedRequest } from '@billhook/testing';
import { Webhook } from 'standardwebhooks';

/** A webhook as its receiver reads it. */
export interface ReceivedWebhook {
  /** `webhook-id`. */
  readonly id: string;
  readonly event: string;
  readonly invoiceId: string;
  readonly sequence: number;
  readonly attempt: number;
  readonly endpointId: string;
  /** The exact text of the body. */
  readonly body: string;
}

/** Reads a request that came to a receiver. */
export function readWebhook({ headers, body }: ReceivedRequest): ReceivedWebhook {
  const text = body.toString('utf8');
  const { event, data }: { event: string; data: { invoice_id?: string } } = JSON.parse(text);
  return {
    id: String(headers['webhook-id']),
    event,
    invoiceId: data.invoice_id ?? '',
    sequence: Number(headers['billhook-sequence']),
    attempt: Number(headers['billhook-attempt']),
    endpointId: String(headers['billhook-endpoint']),
    body: text,
  };
}

/**
 * Checks the signature as a receiver does.
 *
 * @throws WebhookVerificationError when it is none of this secret.
 */
export function verifySignature({ headers, body }: ReceivedRequest, secret: string): void {
  const texts = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  new Webhook(secret).verify(body.toString('utf8'), Object.fromEntries(texts));
}

/** `created/1`, `updated/2`, ...: events of an invoice with their numbers. */
export function summarise({ event, sequence }: ReceivedWebhook): string {
  return `${event.replace('invoice_', '')}/${sequence}`;
}
