import { status } from '@grpc/grpc-js';
import { invoiceV1 } from '@billhook/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dollars, refusal, useInvoiceService } from '../testing/invoice-service.ts';

const service = useInvoiceService();

const amount = dollars(200);

const METHODS = Object.values(invoiceV1.InvoiceServiceService).map(
  ({ path }) => path.split('/').at(-1) ?? '',
);

/** A field with a length: its number, then its bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
}

const validAmount = field(3, field(1, Buffer.from('USD')));

test('text that is not UTF-8 is a bad field', async () => {
  const bad = Buffer.from([0xff, 0xfe]);
  for (const bytes of [
    field(1, bad),
    field(2, bad),
    field(5, bad),
    Buffer.concat([validAmount, field(3, field(1, bad))]),
  ]) {
    expect(await service.sendBytes('CreateInvoice', bytes)).toBe(status.INVALID_ARGUMENT);
  }
});

test('U+0000 in any text is a bad field', async () => {
  const zero = '\0';
  const answers = await Promise.all([
    refusal(service.create({ amount, requestId: zero })),
    refusal(service.create({ amount, invoiceId: zero })),
    refusal(service.create({ amount, description: zero })),
    refusal(service.create({ amount: { ...amount, currencyCode: zero } })),
    refusal(service.update({ invoiceId: 'a', etag: zero })),
    refusal(service.update({ invoiceId: 'a', updateMask: [zero] })),
    refusal(service.get(zero)),
    refusal(service.list({ pageToken: zero })),
    refusal(service.events({ invoiceId: zero })),
    refusal(service.create({ amount }, 'a b')),
  ]);
  for (const [answer] of answers) {
    expect(answer).toMatch(/^INVALID_ARGUMENT /);
  }
});

test('a mask of fifty thousand paths is refused within the size of an answer', async () => {
  const updateMask = Array.from({ length: 50_000 }, (_, index) => `path ${index}`);
  expect(await refusal(service.update({ invoiceId: 'a', updateMask }))).toEqual([
    'INVALID_ARGUMENT UNKNOWN_PATH',
    'update_mask UNKNOWN_PATH',
  ]);
});

test('a bad command does no harm to a neighbour in the same batch', async () => {
  const good = Array.from({ length: 20 }, () => refusal(service.create({ amount })));
  const bad = Array.from({ length: 20 }, () =>
    refusal(service.update({ invoiceId: 'nobody', amount })),
  );
  expect((await Promise.all(good)).flat()).toEqual(good.map(() => 'OK'));
  expect((await Promise.all(bad)).flat()).toEqual(bad.map(() => 'NOT_FOUND INVOICE_NOT_FOUND'));
});

test('no bytes make a call fail inside', async () => {
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'a', '\0', 'USD'));
  const anyRequest = fc.record({
    requestId: anyText,
    invoiceId: anyText,
    amount: fc.option(
      fc.record({
        currencyCode: fc.oneof(fc.constant('USD'), anyText),
        units: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        nanos: fc.integer(),
      }),
      { nil: undefined },
    ),
    dueDate: fc.option(
      fc.record({
        seconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        nanos: fc.integer(),
      }),
      { nil: undefined },
    ),
    description: fc.option(anyText, { nil: undefined }),
  });
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    anyRequest.map((request) => invoiceV1.CreateInvoiceRequest.encode(request).finish()),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...METHODS), anyBytes, async (method, bytes) => {
      const code = await service.sendBytes(method, bytes);
      expect([
        status.OK,
        status.INVALID_ARGUMENT,
        status.NOT_FOUND,
        status.ALREADY_EXISTS,
      ]).toContain(code);
    }),
    { numRuns: 500 },
  );
});
