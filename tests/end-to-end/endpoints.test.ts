import type { ReceiverAnswer } from '@billhook/testing';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise, verifySignature } from '../system/webhook.ts';

const billhook = useBillhook({
  BILLHOOK_RETRY_SCHEDULE: Array<string>(50).fill('300ms').join(','),
  BILLHOOK_DELIVERY_TIMEOUT: '1s',
});
const TIMEOUT_MS = 20_000;
const fail: ReceiverAnswer = { kind: 'respond', status: 500 };

/** Sends a webhook through all that the dispatcher does before it: what was to come has come. */
async function passOn(): Promise<void> {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  await billhook.invoices.create({ amount: dollars(1) });
  await receiver.waitFor(1, TIMEOUT_MS);
}

describe('a paused endpoint', () => {
  test('gets nothing, and all of it in order when it is resumed', async () => {
    const receiver = await billhook.startReceiver();
    const { endpoint_id } = await billhook.register('*', receiver.url);
    await billhook.endpoints.pause(endpoint_id);
    expect(await billhook.rest.register('*', receiver.url)).toMatchObject({ status: 'paused' });

    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    for (let update = 2; update <= 9; update += 1) {
      await billhook.invoices.update({ invoiceId, amount: dollars(update) });
    }
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(9) });
    await passOn();
    expect(receiver.requests).toEqual([]);

    await billhook.endpoints.resume(endpoint_id);
    await receiver.waitFor(11, TIMEOUT_MS);

    const own = receiver.requests
      .map(readWebhook)
      .filter((webhook) => webhook.invoiceId === invoiceId);
    expect(own.map(({ sequence, attempt }) => [sequence, attempt])).toEqual(
      Array.from({ length: 10 }, (_, index) => [index + 1, 1]),
    );
  });
});

describe('unregistering', () => {
  test('cancels what waits', async () => {
    const receiver = await billhook.startReceiver({ answer: () => fail });
    const { endpoint_id } = await billhook.register('*', receiver.url);
    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await billhook.invoices.update({ invoiceId, amount: dollars(2) });
    await receiver.waitFor(2, TIMEOUT_MS);

    await billhook.rest.unregister('*', receiver.url);
    const deliveries = await billhook.deliveries.listWhen(
      endpoint_id,
      (found) => found.length === 2 && found.every(({ state }) => state === 'CANCELLED'),
    );

    expect(new Set(deliveries.map(({ sequence }) => sequence))).toEqual(new Set([1, 2]));
    expect(new Set(receiver.requests.map(readWebhook).map(summarise))).toEqual(
      new Set(['created/1']),
    );
  });

  test('of one event keeps the others', async () => {
    const receiver = await billhook.startReceiver();
    await billhook.register('invoice_created', receiver.url);
    await billhook.register('invoice_paid', receiver.url);
    await billhook.rest.unregister('invoice_created', receiver.url);

    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(1) });
    await receiver.waitFor(1, TIMEOUT_MS);

    expect(receiver.requests.map(readWebhook).map(summarise)).toEqual(['paid/2']);
  });

  test('and registering makes a new endpoint with a new secret', async () => {
    const receiver = await billhook.startReceiver();
    const before = await billhook.register('*', receiver.url);
    await billhook.rest.unregister('*', receiver.url);
    const after = await billhook.register('*', receiver.url);

    await billhook.invoices.create({ amount: dollars(1) });
    const [request] = await receiver.waitFor(1, TIMEOUT_MS);

    expect(after.endpoint_id).not.toBe(before.endpoint_id);
    if (request === undefined) throw new Error('it has come');
    verifySignature(request, after.secret);
    expect(() => verifySignature(request, before.secret)).toThrow('No matching signature found');
  });
});

describe('an endpoint', () => {
  test('signs with both secrets after a rotation', async () => {
    const receiver = await billhook.startReceiver();
    const { endpoint_id, secret } = await billhook.register('*', receiver.url);
    const rotated = await billhook.endpoints.rotateSecret(endpoint_id);

    await billhook.invoices.create({ amount: dollars(1) });
    const [request] = await receiver.waitFor(1, TIMEOUT_MS);

    expect(rotated.secret).not.toBe(secret);
    if (request === undefined) throw new Error('it has come');
    verifySignature(request, secret);
    verifySignature(request, rotated.secret);
    const at = new Date(Number(request.headers['webhook-timestamp']) * 1_000);
    const sign = (key: string) =>
      new Webhook(key).sign(String(request.headers['webhook-id']), at, request.body.toString());
    expect(request.headers['webhook-signature']).toBe(`${sign(rotated.secret)} ${sign(secret)}`);
  });

  test('that moves keeps its secret, its order and what waits', async () => {
    const old = await billhook.startReceiver({ answer: () => fail });
    const { endpoint_id, secret } = await billhook.register('*', old.url);
    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(1) });
    await old.waitFor(1, TIMEOUT_MS);

    const next = await billhook.startReceiver();
    await billhook.endpoints.update({ endpointId: endpoint_id, url: next.url });
    const requests = await next.waitFor(2, TIMEOUT_MS);
    await billhook.rest.unregister('*', next.url);

    expect(requests.map(readWebhook).map(summarise)).toEqual(['created/1', 'paid/2']);
    requests.forEach((request) => verifySignature(request, secret));
  });
});

describe('a ping', () => {
  test('calls every endpoint at once, says so on standard output, and tells what came of it', async () => {
    const good = await billhook.startReceiver();
    const bad = await billhook.startReceiver({ answer: () => fail });
    const hanging = await billhook.startReceiver({ answer: () => ({ kind: 'hang' }) });
    const gone = await billhook.startReceiver();
    const { secret, endpoint_id } = await billhook.register('*', good.url);
    for (const { url } of [bad, hanging, gone]) await billhook.register('myEvent', url);
    await gone.close();
    await billhook.endpoints.pause(endpoint_id);
    const printedBefore = billhook.system.output.length;

    const results = await billhook.rest.ping();

    const byUrl = new Map(results.map((result) => [result.url, result]));
    expect(byUrl.get(good.url)).toEqual({
      url: good.url,
      outcome: 'delivered',
      status: 200,
      duration_ms: expect.any(Number),
    });
    expect(byUrl.get(bad.url)).toMatchObject({ outcome: 'rejected', status: 500 });
    expect(byUrl.get(hanging.url)).toMatchObject({ outcome: 'unreachable', status: null });
    expect(byUrl.get(gone.url)).toMatchObject({ outcome: 'unreachable', status: null });
    expect(billhook.system.output.slice(printedBefore).toSorted()).toEqual(
      [good, bad, hanging, gone].map(({ url }) => `Pinging ${url}`).toSorted(),
    );
    const [request] = good.requests;
    if (request === undefined) throw new Error('it has come');
    expect(request.body.toString()).toBe('{"event":"ping","data":{}}');
    expect(request.headers['billhook-sequence']).toBeUndefined();
    verifySignature(request, secret);
  });

  test('of one address calls no other', async () => {
    const pinged = await billhook.startReceiver();
    const other = await billhook.startReceiver();
    await billhook.register('*', pinged.url);
    await billhook.register('*', other.url);

    expect(await billhook.rest.ping(pinged.url)).toMatchObject([{ url: pinged.url }]);
    expect(pinged.requests).toHaveLength(1);
    expect(other.requests).toEqual([]);
    const unknown = await billhook.rest.send('/ping', '{"url":"http://127.0.0.1:9/nobody"}');
    expect(unknown.status).toBe(404);
  });
});
