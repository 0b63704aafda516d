import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceiverAnswer } from '@billhook/testing';
import { describe, expect, test } from 'vitest';
import { CallFailure, outcomeOf } from '../system/call-failure.ts';
import { raceFilters } from '../system/filter-race.ts';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise, verifySignature } from '../system/webhook.ts';

const billhook = useBillhook({
  BILLHOOK_RETRY_SCHEDULE: Array<string>(50).fill('300ms').join(','),
  BILLHOOK_DELIVERY_TIMEOUT: '10s',
});
const TIMEOUT_MS = 20_000;
const fail: ReceiverAnswer = { kind: 'respond', status: 500 };

describe('the headers of an endpoint', () => {
  const headers = [
    { name: 'Authorization', value: 'Bearer hidden-token' },
    { name: 'x-tier', value: 'gold' },
  ];
  const sent = { authorization: 'Bearer hidden-token', 'x-tier': 'gold' };

  test('go with every attempt and with a ping, and are shown by their names', async () => {
    let failures = 0;
    const receiver = await billhook.startReceiver({
      answer: () => (failures++ === 0 ? fail : { kind: 'respond', status: 200 }),
    });
    const { endpoint_id: endpointId, secret } = await billhook.register('*', receiver.url);
    const updated = await billhook.endpoints.update({ endpointId, headers });

    await billhook.invoices.create({ amount: dollars(1) });
    const requests = await receiver.waitFor(2, TIMEOUT_MS);
    await billhook.rest.ping(receiver.url);

    expect(requests).toHaveLength(3);
    for (const request of requests) {
      expect(request.headers).toMatchObject(sent);
      verifySignature(request, secret);
    }
    expect(updated.headerNames).toEqual(['authorization', 'x-tier']);
    expect(await billhook.endpoints.get(endpointId)).toEqual(updated);
    expect(billhook.system.log.join('')).not.toContain('hidden-token');
  });

  test('stay over a restart, and are taken back by a mask', async () => {
    const receiver = await billhook.startReceiver();
    const { endpoint_id: endpointId } = await billhook.register('*', receiver.url);
    await billhook.endpoints.update({ endpointId, headers });
    expect(await billhook.system.stop('SIGTERM')).toBe(0);
    await billhook.system.start();

    // The clients find the services again soon, not at once.
    const create = () => outcomeOf(billhook.invoices.create({ amount: dollars(1) }));
    await expect.poll(create, { timeout: TIMEOUT_MS }).toBe('OK');
    const [before] = await receiver.waitFor(1, TIMEOUT_MS);
    const takeBack = { endpointId, updateMask: { paths: ['headers'] } };
    const update = () => outcomeOf(billhook.endpoints.update(takeBack));
    await expect.poll(update, { timeout: TIMEOUT_MS }).toBe('OK');
    await billhook.invoices.create({ amount: dollars(1) });
    const [, after] = await receiver.waitFor(2, TIMEOUT_MS);

    expect(before?.headers).toMatchObject(sent);
    expect(Object.keys(after?.headers ?? {})).not.toContain('authorization');
    expect(after?.headers['user-agent']).toMatch(/^Billhook\//);
  });

  test.for([
    ['headers[0].name', { name: 'Webhook-Signature', value: 'v1,x' }],
    ['headers[0].name', { name: 'x\r\nhost', value: 'x' }],
    ['headers[0].value', { name: 'x', value: 'x\r\nhost: y' }],
  ] as const)('are refused because of %s: %o', async ([field, header]) => {
    const { endpoint_id: endpointId } = await billhook.register('*', 'http://127.0.0.1:9009/x');
    const failure: unknown = await billhook.endpoints
      .update({ endpointId, headers: [header] })
      .catch((error: unknown) => error);

    if (!(failure instanceof CallFailure)) throw new Error(`it is ${String(failure)}`);
    expect([failure.code, ...failure.fields]).toEqual(['INVALID_ARGUMENT', field]);
  });
});

describe('the settings of an endpoint', () => {
  test('are shown, each by itself', async () => {
    const { endpoint_id: endpointId } = await billhook.register('*', 'http://127.0.0.1:9009/shown');
    const settings = {
      description: 'The shop in Bern',
      rateLimit: 12.5,
      timeout: { seconds: 2, nanos: 500_000_000 },
      maxInFlight: 3,
      circuitFailures: 2,
      circuitLongestWait: { seconds: 30, nanos: 0 },
    };
    await billhook.endpoints.update({ endpointId, ...settings });
    expect(await billhook.endpoints.get(endpointId)).toMatchObject(settings);
    const tooLong = { endpointId, timeout: { seconds: 11, nanos: 0 } };
    expect(await outcomeOf(billhook.endpoints.update(tooLong))).toBe(
      'INVALID_ARGUMENT TIMEOUT_INVALID',
    );
    expect(await billhook.endpoints.get(endpointId)).toMatchObject(settings);
  });

  test('give it up after a time-out of its own', async () => {
    const receiver = await billhook.startReceiver({ answer: () => ({ kind: 'hang' }) });
    const { endpoint_id: endpointId } = await billhook.register('*', receiver.url);
    await billhook.endpoints.update({ endpointId, timeout: { seconds: 0, nanos: 200_000_000 } });

    const startedAtMs = performance.now();
    await billhook.invoices.create({ amount: dollars(1) });
    await receiver.waitFor(3, TIMEOUT_MS);
    expect(performance.now() - startedAtMs).toBeLessThan(8_000);

    const [delivery] = await billhook.deliveries.listWhen(endpointId, (found) =>
      found.some(({ attemptCount }) => attemptCount > 1),
    );
    const { attempts } = await billhook.deliveries.get(delivery?.deliveryId ?? '');
    expect(attempts[0]?.detail).toBe('timed out waiting for the response');
  });
});

describe('a filter', () => {
  test('over REST lets through what meets it, until it is registered without one', async () => {
    const receiver = await billhook.startReceiver();
    const filter = { 'data.amount': { gte: 1_000 } };
    const registered = await billhook.register('invoice_created', receiver.url, filter);
    const { endpoint_id: endpointId } = registered;
    for (const amount of [999.99, 1_000, 5, 2_000.5]) {
      await billhook.invoices.create({ amount: dollars(amount) });
    }
    await receiver.waitFor(2, TIMEOUT_MS);
    expect(new Set(receiver.requests.map(amountOf))).toEqual(new Set([1_000, 2_000.5]));
    expect((await billhook.endpoints.get(endpointId)).filters).toEqual([
      { event: 'invoice_created', filter: JSON.stringify(filter) },
    ]);

    const again = await billhook.rest.register('invoice_created', receiver.url);
    expect(again).toMatchObject({ endpoint_id: endpointId });
    await billhook.invoices.create({ amount: dollars(5) });
    await receiver.waitFor(3, TIMEOUT_MS);
    expect((await billhook.endpoints.get(endpointId)).filters).toEqual([]);
    const deliveries = await billhook.deliveries.listWhen(
      endpointId,
      (found) => found.length === 3,
    );
    expect(deliveries.map(({ state }) => state)).toEqual(Array<string>(3).fill('DELIVERED'));
  });

  test('over gRPC counts beside other subscriptions, and an event comes once', async () => {
    const receiver = await billhook.startReceiver();
    await billhook.register('invoice_paid', receiver.url);
    await billhook.register('*', receiver.url);
    const filter = '{"or":[{"event":"invoice_paid"},{"data.updated_fields.amount":3}]}';
    await billhook.endpoints.registerFiltered({ event: '*', url: receiver.url, filter });

    const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
    await billhook.invoices.update({ invoiceId, amount: dollars(2) });
    await billhook.invoices.update({ invoiceId, amount: dollars(3) });
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(3) });
    await receiver.waitFor(2, TIMEOUT_MS);
    await passOn();
    expect(receiver.requests.map(readWebhook).map(summarise)).toEqual(['updated/3', 'paid/4']);
  });

  test('holds from the moment it is answered, in a tight loop', async () => {
    await raceFilters(billhook.system, 25);
  });

  test.for([
    ['filter.or[1]["data.amount"].gte', { or: [{ event: 'a' }, { 'data.amount': { gte: 'x' } }] }],
    ['filter["data.description"].regex', { 'data.description': { regex: '(a+)+$' } }],
    ['filter', {}],
  ] as const)('is refused with the place that is wrong: %s', async ([field, filter]) => {
    const body = { event: 'a', url: 'http://127.0.0.1:9009/refused', filter };
    const response = await billhook.rest.send('/register', JSON.stringify(body));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      code: 'invalid_filter',
      field,
      detail: expect.stringMatching(/\.$/),
    });
  });
});

describe('a rotation', () => {
  test('keeps the secret before for as long as it is told to', async () => {
    const receiver = await billhook.startReceiver();
    const { endpoint_id, secret } = await billhook.register('*', receiver.url);
    const overlap = { seconds: 2, nanos: 0 };
    const rotated = await billhook.endpoints.rotateSecret(endpoint_id, overlap);
    await billhook.invoices.create({ amount: dollars(1) });
    const [during] = await receiver.waitFor(1, TIMEOUT_MS);
    await sleep(2_500);
    await billhook.invoices.create({ amount: dollars(1) });
    const [, after] = await receiver.waitFor(2, TIMEOUT_MS);

    if (during === undefined || after === undefined) throw new Error('they have come');
    verifySignature(during, secret);
    verifySignature(during, rotated.secret);
    verifySignature(after, rotated.secret);
    expect(() => verifySignature(after, secret)).toThrow('No matching signature found');
    expect(after.headers['webhook-signature']).toMatch(/^v1,[^ ]+$/);
  });
});

test.for(['a\r\nx: y', 'a\n', 'a b', 'a\u0000'])('%j names nothing that is sent', async (name) => {
  const body = JSON.stringify({ event: name, url: 'http://127.0.0.1:9009/named' });
  expect((await billhook.rest.send('/register', body)).status).toBe(400);
  const registering = billhook.endpoints.registerFiltered({
    event: name,
    url: 'http://127.0.0.1:9009/named',
    filter: '',
  });
  expect(await outcomeOf(registering)).toBe('INVALID_ARGUMENT EVENT_INVALID');
  const creating = billhook.invoices.create({ invoiceId: name, amount: dollars(1) });
  expect(await outcomeOf(creating)).toMatch(/^INVALID_ARGUMENT /);
  const asTenant = billhook.invoices.create({ amount: dollars(1) }, { tenant: 'a b' });
  expect(await outcomeOf(asTenant)).toBe('INVALID_ARGUMENT TENANT_INVALID');
});

function amountOf({ body }: { readonly body: Buffer }): number {
  const { data }: { data: { amount: number } } = JSON.parse(body.toString());
  return data.amount;
}

/** Sends a webhook through all that the dispatcher does before it: what was to come has come. */
async function passOn(): Promise<void> {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  await billhook.invoices.create({ amount: dollars(1) });
  await receiver.waitFor(1, TIMEOUT_MS);
}
