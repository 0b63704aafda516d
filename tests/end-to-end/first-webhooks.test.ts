import { expect, test } from 'vitest';
import { dollars, timestamp } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise, verifySignature } from '../system/webhook.ts';

const billhook = useBillhook();
const TIMEOUT_MS = 20_000;

test('an address is registered and unregistered with plain curl', async () => {
  const body = '{"event":"myEvent","url":"http://myurl.com/webhook"}';

  for (const word of ['registered', 'registered', 'unregistered']) {
    const path = word === 'registered' ? '/register' : '/unregister';
    const response = await billhook.rest.send(path, body, { accept: '*/*' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await response.text()).toBe(`Webhook for "myEvent" ${word} successfully`);
  }

  const repeated = await billhook.rest.send('/unregister', body);
  expect(repeated.status).toBe(404);
  expect(repeated.headers.get('content-type')).toBe('application/problem+json');
  expect(await repeated.json()).toMatchObject({ code: 'not_registered' });
});

test('the secret is told once, to a client that asks for JSON', async () => {
  const url = 'http://myurl.com/once';

  const first = await billhook.register('myEvent', url);
  const second = await billhook.rest.register('myEvent', url);
  const other = await billhook.rest.register('otherEvent', url);

  expect(first).toEqual({
    endpoint_id: expect.stringMatching(/^ep_[0-9a-f]{32}$/),
    event: 'myEvent',
    url,
    status: 'active',
    secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
  });
  expect(second).toEqual({
    endpoint_id: first.endpoint_id,
    event: 'myEvent',
    url,
    status: 'active',
  });
  expect(other).toMatchObject({ endpoint_id: first.endpoint_id });
  expect(await billhook.rest.unregister('otherEvent', url)).toMatchObject({
    status: 'unregistered',
  });
});

test('creating, updating and paying an invoice sends three signed webhooks in order', async () => {
  const receiver = await billhook.startReceiver();
  const { secret, endpoint_id } = await billhook.register('*', receiver.url);

  await billhook.invoices.create({ invoiceId: '123', amount: dollars(200) });
  await billhook.invoices.update({
    invoiceId: '123',
    amount: dollars(1550),
    dueDate: timestamp('2024-04-15T00:00:00Z'),
  });
  await billhook.invoices.pay({
    invoiceId: '123',
    amountReceived: dollars(1550),
    paidAt: timestamp('2024-03-20T10:00:00Z'),
  });
  const requests = await receiver.waitFor(3, TIMEOUT_MS);

  expect(requests.map(readWebhook).map(summarise)).toEqual(['created/1', 'updated/2', 'paid/3']);
  const eventTimes = requests.map(({ headers }) => String(headers['billhook-event-time']));
  expect(requests.map(({ body }) => body.toString())).toEqual([
    '{"event":"invoice_created","data":{"invoice_id":"123","amount":200,"status":"pending"}}',
    '{"event":"invoice_updated","data":{"invoice_id":"123","status":"updated","updated_fields":' +
      `{"amount":1550,"due_date":"2024-04-15T00:00:00Z"},"updated_at":"${eventTimes[1]}"}}`,
    '{"event":"invoice_paid","data":{"invoice_id":"123","status":"paid","amount_received":1550,' +
      '"currency":"USD","paid_at":"2024-03-20T10:00:00Z"}}',
  ]);
  for (const request of requests) {
    verifySignature(request, secret);
    expect(request).toMatchObject({ method: 'POST', path: '/webhook' });
    expect(request.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^Billhook\/\d+\.\d+\.\d+$/),
      'webhook-id': expect.stringMatching(/^evt_[0-9a-f]{32}$/),
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
      'billhook-attempt': '1',
      'billhook-event-time': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/),
      'billhook-endpoint': endpoint_id,
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/),
    });
  }
});

test('a webhook goes on with the trace of the call that caused it', async () => {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';

  await billhook.invoices.create(
    { amount: dollars(1) },
    { traceparent: `00-${trace}-00f067aa0ba902b7-01` },
  );
  const [request] = await receiver.waitFor(1, TIMEOUT_MS);

  expect(request?.headers['traceparent']).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  expect(request?.headers['traceparent']).not.toContain('00f067aa0ba902b7');
});

test('amounts are written exactly, and a cleared field as null', async () => {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  const amount = { currencyCode: 'KWD', units: 9_007_199_254_740, nanos: 5_000_000 };

  const { invoiceId } = await billhook.invoices.create({ amount, description: 'for "è"' });
  await billhook.invoices.update({ invoiceId, updateMask: { paths: ['description'] } });
  await billhook.invoices.update({
    invoiceId,
    amount: { ...amount, units: 0, nanos: 100_000_000 },
  });
  const requests = await receiver.waitFor(3, TIMEOUT_MS);

  const texts = requests.map(({ body }) => body.toString());
  expect(texts[0]).toContain('"amount":9007199254740.005,');
  expect(texts[1]).toContain('"updated_fields":{"description":null}');
  expect(texts[2]).toContain('"updated_fields":{"amount":0.1}');
});

test('every endpoint gets an event once, with the same id and bytes and its own signature', async () => {
  const first = await billhook.startReceiver();
  const second = await billhook.startReceiver();
  const { secret } = await billhook.register('*', first.url);
  await billhook.register('invoice_created', first.url);
  await billhook.register('invoice_created', first.url);
  const other = await billhook.register('invoice_created', second.url);
  const onlyPaid = await billhook.startReceiver();
  await billhook.register('invoice_paid', onlyPaid.url);

  const { invoiceId } = await billhook.invoices.create({ amount: dollars(10) });
  await billhook.invoices.pay({ invoiceId, amountReceived: dollars(10) });
  await Promise.all([
    first.waitFor(2, TIMEOUT_MS),
    second.waitFor(1, TIMEOUT_MS),
    onlyPaid.waitFor(1, TIMEOUT_MS),
  ]);

  expect(first.requests.map(readWebhook).map(summarise)).toEqual(['created/1', 'paid/2']);
  expect(second.requests.map(readWebhook).map(summarise)).toEqual(['created/1']);
  expect(onlyPaid.requests.map(readWebhook).map(summarise)).toEqual(['paid/2']);
  const [one, two] = [first.requests[0], second.requests[0]];
  if (one === undefined || two === undefined) throw new Error('both have a request');
  expect(two.body).toEqual(one.body);
  expect(two.headers['webhook-id']).toBe(one.headers['webhook-id']);
  verifySignature(one, secret);
  verifySignature(two, other.secret);
  expect(() => verifySignature(two, secret)).toThrow('No matching signature found');
});

test('an event reaches endpoints of its own tenant only', async () => {
  const own = await billhook.startReceiver();
  const others = await billhook.startReceiver();
  await billhook.endpoints.register('*', own.url, 'acme');
  await billhook.register('*', others.url);

  await billhook.invoices.create({ amount: dollars(1) }, { tenant: 'acme' });
  await own.waitFor(1, TIMEOUT_MS);
  await billhook.invoices.create({ amount: dollars(2) });
  await others.waitFor(1, TIMEOUT_MS);

  expect(own.requests).toHaveLength(1);
  expect(others.requests.map(({ body }) => body.toString())).toEqual([
    expect.stringContaining('"amount":2,'),
  ]);
});

test('every server says what it can be asked, and that it serves', async () => {
  const services = {
    invoice: 'billhook.invoice.v1.InvoiceService',
    subscription: 'billhook.subscription.v1.SubscriptionService',
    delivery: 'billhook.delivery.v1.DeliveryService',
  } as const;
  for (const name of ['invoice', 'subscription', 'delivery'] as const) {
    const client = billhook.clients[name];
    expect(await client.serviceNames()).toEqual(
      expect.arrayContaining([services[name], 'grpc.health.v1.Health']),
    );
    expect(await client.call('grpc.health.v1.Health/Check', {})).toEqual({ status: 'SERVING' });
  }
  expect((await billhook.rest.get('/healthz')).status).toBe(200);
  expect((await billhook.rest.get('/readyz')).status).toBe(200);
});
