import type { ReceiverAnswer } from '@billhook/testing';
import { describe, expect, test } from 'vitest';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise, verifySignature } from '../system/webhook.ts';

/** Three attempts, then a delivery is dead. */
const billhook = useBillhook({ BILLHOOK_RETRY_SCHEDULE: '100ms,100ms' });
const TIMEOUT_MS = 20_000;

const accept: ReceiverAnswer = { kind: 'respond', status: 200 };
const fail: ReceiverAnswer = { kind: 'respond', status: 500, body: 'not today' };

const requestsForTime: readonly (readonly [
  name: string,
  status: number,
  retryAfter: () => string,
])[] = [
  ['429 with seconds', 429, () => '2'],
  ['503 with seconds', 503, () => '2'],
  ['503 with a date', 503, () => new Date(Date.now() + 3_000).toUTCString()],
];

describe('a receiver that asks for time', () => {
  test.for(requestsForTime)('gets it: %s', async ([, status, retryAfter]) => {
    let asked = false;
    const receiver = await billhook.startReceiver({
      answer() {
        if (asked) return accept;
        asked = true;
        return { kind: 'respond', status, headers: { 'retry-after': retryAfter() } };
      },
    });
    await billhook.register('*', receiver.url);

    await billhook.invoices.create({ amount: dollars(1) });
    const [first, second] = await receiver.waitFor(2, TIMEOUT_MS);

    // A date has no fraction of a second, so that the three seconds may be two.
    const waitedMs = (second?.receivedAtMs ?? 0) - (first?.receivedAtMs ?? 0);
    expect(waitedMs).toBeGreaterThanOrEqual(1_950);
  });
});

describe('a receiver that answers 410', () => {
  test('is disabled, and goes on in order when it is registered again', async () => {
    const receiver = await billhook.startReceiver({
      answer: () => ({ kind: 'respond', status: 410 }),
    });
    const { endpoint_id, secret } = await billhook.register('*', receiver.url);

    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await expect
      .poll(async () => (await billhook.endpoints.get(endpoint_id)).state, { timeout: TIMEOUT_MS })
      .toBe('ENDPOINT_STATE_DISABLED');
    await billhook.invoices.update({ invoiceId, amount: dollars(2) });
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(2) });
    await billhook.deliveries.listWhen(endpoint_id, (found) => found.length === 3);
    expect(receiver.requests.map(readWebhook).map(summarise)).toEqual(['created/1']);

    receiver.answer(() => accept);
    expect(await billhook.rest.register('*', receiver.url)).toMatchObject({
      endpoint_id,
      status: 'active',
    });
    const requests = await receiver.waitFor(4, TIMEOUT_MS);

    expect(requests.map(readWebhook).map(summarise)).toEqual([
      'created/1',
      'created/1',
      'updated/2',
      'paid/3',
    ]);
    requests.forEach((request) => verifySignature(request, secret));
  });
});

describe('after the last attempt', () => {
  test('a delivery is dead and shown with its attempts, and the next of its invoice goes on', async () => {
    const receiver = await billhook.startReceiver({
      answer: (request) => (readWebhook(request).sequence === 1 ? fail : accept),
    });
    const { endpoint_id } = await billhook.register('*', receiver.url);

    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await billhook.invoices.update({ invoiceId, amount: dollars(2) });
    const requests = await receiver.waitFor(4, TIMEOUT_MS);
    const deliveries = await billhook.deliveries.listWhen(endpoint_id, (found) =>
      found.every(({ state }) => state === 'DEAD' || state === 'DELIVERED'),
    );

    expect(requests.map(readWebhook).map(({ sequence, attempt }) => [sequence, attempt])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 1],
    ]);
    const events = await billhook.invoices.events(invoiceId);
    expect(deliveries.toSorted((one, other) => one.sequence - other.sequence)).toMatchObject([
      { state: 'DEAD', attemptCount: 3, invoiceId, event: 'invoice_created', sequence: 1 },
      { state: 'DELIVERED', attemptCount: 1, invoiceId, event: 'invoice_updated', sequence: 2 },
    ]);
    const dead = deliveries.find(({ state }) => state === 'DEAD');
    expect(dead?.eventId).toBe(events[0]?.eventId);
    const { attempts } = await billhook.deliveries.get(dead?.deliveryId ?? '');
    expect(attempts).toMatchObject(
      [1, 2, 3].map((attempt) => ({
        attempt,
        outcome: 'ATTEMPT_OUTCOME_REJECTED',
        status: 500,
        detail: expect.stringContaining('not today'),
      })),
    );
  });

  test('a dead delivery is sent again by hand, with the same id and bytes', async () => {
    const receiver = await billhook.startReceiver({ answer: () => fail });
    const { endpoint_id, secret } = await billhook.register('*', receiver.url);
    await billhook.invoices.create({ amount: dollars(1) });
    const [dead] = await billhook.deliveries.listWhen(
      endpoint_id,
      ([delivery]) => delivery?.state === 'DEAD',
    );

    receiver.answer(() => accept);
    await billhook.deliveries.retry(dead?.deliveryId ?? '');
    const requests = await receiver.waitFor(4, TIMEOUT_MS);
    await billhook.deliveries.listWhen(
      endpoint_id,
      ([delivery]) => delivery?.state === 'DELIVERED',
    );

    const webhooks = requests.map(readWebhook);
    expect(webhooks.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    expect(new Set(webhooks.map(({ id }) => id))).toEqual(new Set([dead?.eventId]));
    expect(new Set(webhooks.map(({ body }) => body)).size).toBe(1);
    requests.forEach((request) => verifySignature(request, secret));
    const { attempts } = await billhook.deliveries.get(dead?.deliveryId ?? '');
    expect(attempts.map(({ outcome }) => outcome.replace('ATTEMPT_OUTCOME_', ''))).toEqual([
      'REJECTED',
      'REJECTED',
      'REJECTED',
      'DELIVERED',
    ]);
  });
});
