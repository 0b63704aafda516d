import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { outcomeOf } from '../system/call-failure.ts';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';

const billhook = useBillhook();
const TIMEOUT_MS = 20_000;
const PATHS = ['/register', '/unregister', '/ping'] as const;

/** What the service itself may say; `INTERNAL` is grpc-js's word for what is no protobuf. */
const REFUSALS = ['OK', 'INVALID_ARGUMENT', 'NOT_FOUND', 'ALREADY_EXISTS', 'FAILED_PRECONDITION'];
const UNREADABLE = [...REFUSALS, 'INTERNAL', 'RESOURCE_EXHAUSTED'];

const METHODS = {
  invoices: ['CreateInvoice', 'UpdateInvoice', 'PayInvoice', 'GetInvoice', 'ListInvoices'],
  endpoints: ['Register', 'Unregister', 'GetEndpoint', 'UpdateEndpoint', 'PauseEndpoint'],
  deliveries: ['ListDeliveries', 'GetDelivery', 'RetryDelivery', 'Ping'],
} as const;

/** After whatever came: the process runs, serves and delivers, and nothing went wrong inside. */
afterEach(async () => {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  await billhook.invoices.create({ amount: dollars(1) });
  await receiver.waitFor(1, TIMEOUT_MS);
  expect((await billhook.rest.get('/readyz')).status).toBe(200);
  const levels = billhook.system.log.map((line) => JSON.parse(line).level);
  expect(levels.filter((level) => level === 'error' || level === 'fatal')).toEqual([]);
});

describe('the gateway answers no 5xx', () => {
  test('to any JSON', async () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.constant('*'));
    const value = fc.oneof(text, fc.jsonValue({ maxDepth: 3 }));
    const body = fc.record({ event: value, url: value }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('/unregister', '/ping'), body, async (path, content) => {
        expect(await send(path, JSON.stringify(content))).toBeLessThan(500);
      }),
      { numRuns: 150 },
    );
  });

  test('to any filter', async () => {
    const url = 'http://127.0.0.1:9009/filtered';
    const names = ['and', 'or', 'not', 'event', 'data.a', '__proto__', 'any_of', 'gte', 'x'];
    const values = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom('a', 1, [1], ['a']));
    const { filter } = fc.letrec<{ filter: unknown }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 4 },
        values,
        fc.dictionary(fc.constantFrom(...names), tie('filter')),
        fc.array(tie('filter'), { maxLength: 3 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(filter, async (content) => {
        const body = JSON.stringify({ event: 'never', url, filter: content });
        expect(await send('/register', body)).toBeLessThan(500);
      }),
      { numRuns: 150 },
    );
    await send('/unregister', JSON.stringify({ event: 'never', url }));
  });

  test('to any bytes, deep JSON, huge bodies, bad UTF-8 and U+0000', async () => {
    const depth = 20_000;
    const bodies = [
      ...Array.from({ length: 30 }, () => new Uint8Array(randomBytes(200))),
      '{"event":'.concat('['.repeat(depth), ']'.repeat(depth), '}'),
      '{"a":'.repeat(depth),
      ' '.repeat(5_000_000),
      Uint8Array.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]),
      '{"event":"a\\u0000","url":"http://a.b/"}',
      '{"event":"a","url":"http://a.b/\\u0000"}',
      '{"event":"\\ud800","url":"http://a.b/"}',
      '\u0000',
    ];
    for (const body of bodies) {
      for (const path of PATHS) {
        const status = await send(path, body);
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }
    }
  });

  test('to what is no HTTP', async () => {
    const [gateway = ''] = billhook.system.addresses.gateway.split(',');
    const [host = '', port = ''] = gateway.split(':');
    for (let round = 0; round < 20; round += 1) {
      const socket = connect({ host, port: Number(port) });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      const closed = once(socket, 'close');
      socket.end(Buffer.concat([randomBytes(100), Buffer.from('\r\n\r\n')]));
      await closed;
      expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
  });
});

describe('the services go on', () => {
  test.for(['invoices', 'endpoints', 'deliveries'] as const)(
    'after any bytes to %s',
    async (name) => {
      const calls = billhook[name];
      for (const method of METHODS[name]) {
        for (let round = 0; round < 30; round += 1) {
          const bytes = randomBytes(Math.floor(Math.random() * 60));
          expect(UNREADABLE).toContain(await calls.sendBytes(method, bytes));
        }
        const tooMuch = await calls.sendBytes(method, Buffer.alloc(8 * 1024 * 1024, 0x0a));
        expect(UNREADABLE).toContain(tooMuch);
      }
    },
  );

  test('after text that is not UTF-8, in every text field', async () => {
    for (const name of ['invoices', 'endpoints', 'deliveries'] as const) {
      for (const method of METHODS[name]) {
        for (let field = 1; field <= 5; field += 1) {
          const bytes = Buffer.from([field * 8 + 2, 2, 0xc3, 0x28]);
          expect(UNREADABLE).toContain(await billhook[name].sendBytes(method, bytes));
        }
      }
    }
    const description = Buffer.from([0x2a, 2, 0xc3, 0x28]);
    const code = await billhook.invoices.sendBytes('CreateInvoice', description);
    expect(code).toBe('INVALID_ARGUMENT');
  });

  test('and a bad mutation does no harm to those that share its batch', async () => {
    const receiver = await billhook.startReceiver();
    await billhook.register('*', receiver.url);
    const huge = 9_000_000_000_000_000;
    const bad = [
      { amount: dollars(1), description: '\u0000' },
      { amount: dollars(1), description: '\ud800' },
      { amount: dollars(1), description: 'x'.repeat(1_025) },
      { amount: { currencyCode: 'USD', units: huge, nanos: 999_999_999 } },
      { amount: { currencyCode: '\u0000', units: 1 } },
      { amount: dollars(1), dueDate: { seconds: huge, nanos: -1 } },
      { amount: dollars(1), invoiceId: "'; drop table event; --" },
    ];
    const calls = Array.from({ length: 20 }, () => [
      outcomeOf(billhook.invoices.create({ amount: dollars(1) })),
      ...bad.map((request) => outcomeOf(billhook.invoices.create(request))),
      outcomeOf(billhook.invoices.update({ invoiceId: 'nobody', amount: dollars(1) })),
    ]);

    for (const outcomes of await Promise.all(calls.map((round) => Promise.all(round)))) {
      const [good, ...others] = outcomes;
      expect(good).toBe('OK');
      // Half a character becomes U+FFFD before it is sent: that one is good as well.
      for (const outcome of others) expect(REFUSALS).toContain(outcome.split(' ')[0]);
    }
    await receiver.waitFor(20, TIMEOUT_MS);
  });
});

test('nothing that a caller may name gets a header of its own into a webhook', async () => {
  const receiver = await billhook.startReceiver();
  await billhook.register('*', receiver.url);
  const { invoices, endpoints } = billhook;
  const amount = dollars(1);
  for (const line of ['\r\nx-evil: 1', '\nx-evil: 1', '\rx-evil: 1', '\u0000', '\u2028x-evil: 1']) {
    const calls = [
      invoices.create({ amount, invoiceId: `a${line}` }),
      invoices.create({ amount: { ...amount, currencyCode: `USD${line}` } }),
      endpoints.register(`a${line}`, receiver.url, 'default'),
      endpoints.register('a', `${receiver.url}${line}`, 'default'),
    ];
    const outcomes = await Promise.all(calls.map((call) => outcomeOf(call)));
    for (const outcome of outcomes) expect(outcome).toMatch(/^INVALID_ARGUMENT /);
    for (const text of [{ requestId: line }, { description: line }]) {
      await outcomeOf(invoices.create({ amount, ...text }));
    }
  }
  const { invoiceId } = await invoices.create({ amount }, { traceparent: '00-x-evil: 1' });

  const isOf = ({ body }: { readonly body: Buffer }) => body.includes(invoiceId);
  await receiver.waitFor((requests) => requests.some(isOf), TIMEOUT_MS);
  for (const { headers } of receiver.requests) {
    expect(Object.keys(headers).toSorted()).toEqual([
      'billhook-attempt',
      'billhook-endpoint',
      'billhook-event-time',
      'billhook-sequence',
      'connection',
      'content-length',
      'content-type',
      'host',
      'traceparent',
      'user-agent',
      'webhook-id',
      'webhook-signature',
      'webhook-timestamp',
    ]);
    for (const value of Object.values(headers)) expect(value).not.toContain('evil');
  }
});

async function send(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<number> {
  return (await billhook.rest.send(path, body)).status;
}
