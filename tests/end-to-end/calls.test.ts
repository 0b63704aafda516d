import { describe, expect, test } from 'vitest';
import { CallFailure, outcomeOf } from '../system/call-failure.ts';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise } from '../system/webhook.ts';

const billhook = useBillhook();
const TIMEOUT_MS = 20_000;

describe('a repeated mutation', () => {
  test('gets the same answer and makes one event, also at the same time and after a restart', async () => {
    const receiver = await billhook.startReceiver();
    await billhook.register('*', receiver.url);
    const create = () =>
      billhook.invoices.create({ requestId: 'the-same', amount: dollars(7), description: 'x' });

    const answers = await Promise.all(Array.from({ length: 20 }, create));
    const [first] = answers;
    const { invoiceId } = first ?? { invoiceId: '' };
    const pay = () =>
      billhook.invoices.pay({ requestId: 'paid', invoiceId, amountReceived: dollars(7) });
    answers.push(await create());
    const paid = await Promise.all(Array.from({ length: 20 }, pay));
    await receiver.waitFor(2, TIMEOUT_MS);
    expect(await billhook.system.stop('SIGTERM')).toBe(0);
    await billhook.system.start();
    answers.push(await create());
    paid.push(await pay());
    const last = await billhook.invoices.create({ amount: dollars(1) });
    await receiver.waitFor(
      (requests) => requests.some((request) => readWebhook(request).invoiceId === last.invoiceId),
      TIMEOUT_MS,
    );

    expect(answers).toEqual(answers.map(() => first));
    expect(paid).toEqual(paid.map(() => paid[0]));
    expect(receiver.requests.map(readWebhook).map(summarise)).toEqual([
      'created/1',
      'paid/2',
      'created/1',
    ]);
  });

  test('with another content is refused', async () => {
    const { invoiceId } = await billhook.invoices.create({ requestId: 'a', amount: dollars(7) });
    expect(invoiceId).toMatch(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/);
    const changed = billhook.invoices.create({ requestId: 'a', amount: dollars(8) });
    expect(await outcomeOf(changed)).toMatch(/^INVALID_ARGUMENT /);
  });
});

test('mutations of one invoice at the same time make one history without gaps', async () => {
  const { invoiceId } = await billhook.invoices.create({ amount: dollars(1) });
  const updates = Array.from({ length: 40 }, (_, index) =>
    billhook.invoices.update({ invoiceId, amount: dollars(index + 2) }),
  );
  const etags = (await Promise.all(updates)).map(({ etag }) => Number(etag));

  expect(new Set(etags)).toEqual(new Set(Array.from({ length: 40 }, (_, index) => index + 2)));
  const events = await billhook.invoices.events(invoiceId);
  expect(events.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 41 }, (_, index) => index + 1),
  );
});

test('an update that changes nothing makes no event', async () => {
  const { invoiceId, etag } = await billhook.invoices.create({ amount: dollars(3) });
  const same = await billhook.invoices.update({ invoiceId, amount: dollars(3) });

  expect(same).toMatchObject({ etag, status: 'INVOICE_STATUS_PENDING' });
  expect(await billhook.invoices.events(invoiceId)).toHaveLength(1);
});

describe('an invoice call is refused', () => {
  test('with the code that the contract gives it', async () => {
    const { invoices } = billhook;
    const { invoiceId } = await invoices.create({ amount: dollars(1) });
    const amount = dollars(2);
    await invoices.update({ invoiceId, amount });
    const outcomes = await Promise.all([
      outcomeOf(invoices.update({ invoiceId, amount: dollars(3), etag: '1' })),
      outcomeOf(invoices.create({ invoiceId, amount })),
      outcomeOf(invoices.update({ invoiceId: 'nobody', amount })),
      outcomeOf(invoices.get(invoiceId, { tenant: 'other' })),
      outcomeOf(invoices.create({ amount }, { timeoutMs: 0 })),
    ]);
    expect(outcomes).toEqual([
      expect.stringMatching(/^ABORTED [A-Z_]+$/),
      expect.stringMatching(/^ALREADY_EXISTS [A-Z_]+$/),
      'NOT_FOUND INVOICE_NOT_FOUND',
      'NOT_FOUND INVOICE_NOT_FOUND',
      expect.stringMatching(/^DEADLINE_EXCEEDED/),
    ]);

    await invoices.pay({ invoiceId, amountReceived: amount });
    expect(await outcomeOf(invoices.update({ invoiceId, amount: dollars(9) }))).toMatch(
      /^FAILED_PRECONDITION [A-Z_]+$/,
    );
  });

  test.for([
    ['amount', {}],
    ['amount', { amount: dollars(0) }],
    ['amount', { amount: dollars(-5) }],
    ['amount', { amount: { currencyCode: 'USD', units: 1, nanos: 1_000_000 } }],
    ['amount', { amount: { currencyCode: 'JPY', units: 1, nanos: 500_000_000 } }],
    ['amount', { amount: { currencyCode: 'usd', units: 1 } }],
    ['invoice_id', { amount: dollars(1), invoiceId: '../etc' }],
    ['invoice_id', { amount: dollars(1), invoiceId: 'a'.repeat(64) }],
    ['description', { amount: dollars(1), description: 'a\u0000b' }],
    ['description', { amount: dollars(1), description: 'a'.repeat(1_025) }],
    ['due_date', { amount: dollars(1), dueDate: { seconds: 253_402_300_800, nanos: 0 } }],
    ['request_id', { amount: dollars(1), requestId: 'a'.repeat(129) }],
  ] as const)('when %s is bad, with the name of the field: %o', async ([field, request]) => {
    const failure: unknown = await billhook.invoices.create(request).catch((error) => error);

    if (!(failure instanceof CallFailure)) throw new Error(`it is ${String(failure)}`);
    expect(failure.code).toBe('INVALID_ARGUMENT');
    expect(failure.reason).toMatch(/^[A-Z][A-Z0-9_]+$/);
    expect(failure.fields).toEqual([expect.stringContaining(field)]);
  });
});

describe('a registration is refused', () => {
  const valid = { event: 'myEvent', url: 'http://myurl.com/webhook' };

  test.for([
    ['not JSON', '{"event":', 'invalid_json'],
    ['a field missing', '{"event":"a"}', 'missing_field'],
    ['a wrong type', '{"event":1,"url":"http://myurl.com/"}', 'wrong_type'],
    ['an unknown field', JSON.stringify({ ...valid, secret: 'x' }), 'unknown_field'],
    ['a bad event name', JSON.stringify({ ...valid, event: '1 2' }), 'invalid_event'],
    ['a relative address', JSON.stringify({ ...valid, url: '/webhook' }), 'url_not_absolute'],
    ['another scheme', JSON.stringify({ ...valid, url: 'ftp://a.b/' }), 'url_scheme_unsupported'],
    ['a password', JSON.stringify({ ...valid, url: 'http://a:b@c.d/' }), 'url_has_credentials'],
    [
      'a metadata address',
      JSON.stringify({ ...valid, url: 'http://169.254.169.254/' }),
      'destination_refused',
    ],
    [
      'a private address',
      JSON.stringify({ ...valid, url: 'http://10.0.0.1/' }),
      'destination_refused',
    ],
    ['a body over 64 KiB', JSON.stringify(valid).padEnd(65_537), 'body_too_large'],
  ] as const)('for %s, with its own code', async ([, body, code]) => {
    const response = await billhook.rest.send('/register', body);

    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(await response.json()).toMatchObject({
      code,
      status: response.status,
      detail: expect.stringMatching(/\.$/),
    });
  });

  test('for another content type', async () => {
    const headers = { 'content-type': 'text/plain' };
    const response = await billhook.rest.send('/register', JSON.stringify(valid), headers);

    expect(response.status).toBe(415);
  });

  test('unless the address only does not resolve', async () => {
    const url = 'http://nobody.invalid/webhook';

    expect(await billhook.register('myEvent', url)).toMatchObject({ url, status: 'active' });
  });
});
