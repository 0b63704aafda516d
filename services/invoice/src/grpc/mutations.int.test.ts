import { describe, expect, test } from 'vitest';
import { dollars, refusal, tick, useInvoiceService } from '../testing/invoice-service.ts';

const service = useInvoiceService();

const amount = dollars(200);
const dueDate = { seconds: 1_713_139_200n, nanos: 123_456_789 };
const toTheMillisecond = { seconds: 1_713_139_200n, nanos: 123_000_000 };

describe('CreateInvoice', () => {
  test('makes a pending invoice and answers all of it', async () => {
    const before = Date.now();
    const invoice = await service.create({ invoiceId: 'c1', amount, dueDate, description: 'Ä' });
    expect(invoice).toMatchObject({
      invoiceId: 'c1',
      status: 'INVOICE_STATUS_PENDING',
      amount,
      dueDate: toTheMillisecond,
      description: 'Ä',
      amountReceived: undefined,
      paidAt: undefined,
      etag: '1',
    });
    expect(invoice.updateTime).toEqual(invoice.createTime);
    expect(Number(invoice.createTime?.seconds)).toBeGreaterThanOrEqual(Math.floor(before / 1_000));
    expect(await service.get('c1')).toEqual(invoice);
  });

  test('takes an amount and nothing else', async () => {
    const yen = { currencyCode: 'JPY', units: 5n, nanos: 0 };
    const invoice = await service.create({ amount: yen });
    expect(invoice).toMatchObject({ amount: yen, dueDate: undefined, description: undefined });
    expect(await service.get(invoice.invoiceId)).toEqual(invoice);
  });

  test('keeps the first and the last time and the largest amount there are', async () => {
    const first = { seconds: -62_135_596_800n, nanos: 0 };
    const last = { seconds: 253_402_300_799n, nanos: 999_000_000 };
    const largest = { currencyCode: 'JPY', units: 2n ** 63n - 1n, nanos: 0 };
    await service.create({ invoiceId: 'first', amount: largest, dueDate: first });
    await service.create({ invoiceId: 'last', amount: largest, dueDate: last });
    expect(await service.get('first')).toMatchObject({ amount: largest, dueDate: first });
    expect(await service.get('last')).toMatchObject({ dueDate: last });
    await service.pay({ invoiceId: 'last', amountReceived: largest, paidAt: first });
    expect(await service.get('last')).toMatchObject({ paidAt: first, amountReceived: largest });
  });

  test('refuses an id that is taken', async () => {
    await service.create({ invoiceId: 'taken', amount });
    expect(await refusal(service.create({ invoiceId: 'taken', amount }))).toEqual([
      'ALREADY_EXISTS INVOICE_EXISTS',
    ]);
  });

  test('names every field that is wrong', async () => {
    const fields = { requestId: '\n', invoiceId: 'ö', description: '\0', amount: dollars(-1) };
    expect(await refusal(service.create(fields))).toEqual([
      'INVALID_ARGUMENT TEXT_HAS_CONTROL_CHARACTER',
      'request_id TEXT_HAS_CONTROL_CHARACTER',
      'invoice_id FIELD_INVALID',
      'amount AMOUNT_NOT_POSITIVE',
      'description TEXT_HAS_CONTROL_CHARACTER',
    ]);
    expect(await refusal(service.create({}))).toEqual([
      'INVALID_ARGUMENT FIELD_REQUIRED',
      'amount FIELD_REQUIRED',
    ]);
  });

  test('refuses a request that is huge', async () => {
    const description = 'x'.repeat(2 * 1024 * 1024);
    const [answer] = await refusal(service.create({ amount, description }));
    expect(answer).toMatch('RESOURCE_EXHAUSTED');
  });
});

describe('UpdateInvoice', () => {
  test('changes what is populated', async () => {
    const created = await service.create({ invoiceId: 'u1', amount, description: 'a' });
    await tick();
    const updated = await service.update({ invoiceId: 'u1', amount: dollars(1_550.5), dueDate });
    expect(updated).toMatchObject({
      status: 'INVOICE_STATUS_UPDATED',
      amount: dollars(1_550.5),
      dueDate: toTheMillisecond,
      description: 'a',
      createTime: created.createTime,
      etag: '2',
    });
    expect(updated.updateTime).not.toEqual(created.updateTime);
    expect(await service.get('u1')).toEqual(updated);
  });

  test('clears what the mask names and the request leaves out', async () => {
    await service.create({ invoiceId: 'u2', amount, dueDate, description: 'a' });
    const updated = await service.update({
      invoiceId: 'u2',
      amount: dollars(5),
      updateMask: ['due_date', 'description'],
    });
    expect(updated).toMatchObject({ amount, dueDate: undefined, description: undefined });
    const all = await service.update({
      invoiceId: 'u2',
      amount: dollars(5),
      description: '',
      updateMask: ['*'],
    });
    expect(all).toMatchObject({ amount: dollars(5), dueDate: undefined, description: '' });
  });

  test('adds no event when nothing changes', async () => {
    const created = await service.create({ invoiceId: 'u3', amount, dueDate, description: '' });
    expect(await service.update({ invoiceId: 'u3', amount, dueDate, description: '' })).toEqual(
      created,
    );
    expect(await service.update({ invoiceId: 'u3' })).toEqual(created);
    expect((await service.events({ invoiceId: 'u3' })).events).toHaveLength(1);
  });

  test('refuses a stale etag, and takes the current one', async () => {
    await service.create({ invoiceId: 'u4', amount });
    await service.update({ invoiceId: 'u4', description: 'a', etag: '1' });
    const stale = service.update({ invoiceId: 'u4', description: 'b', etag: '1' });
    expect(await refusal(stale)).toEqual(['ABORTED ETAG_MISMATCH']);
    const other = service.update({ invoiceId: 'u4', description: 'b', etag: 'W/"2"' });
    expect(await refusal(other)).toEqual(['ABORTED ETAG_MISMATCH']);
  });

  test('refuses another currency, an unknown path, a cleared amount', async () => {
    await service.create({ invoiceId: 'u5', amount });
    const euros = { ...amount, currencyCode: 'EUR' };
    expect(await refusal(service.update({ invoiceId: 'u5', amount: euros }))).toEqual([
      'INVALID_ARGUMENT CURRENCY_MISMATCH',
      'amount.currency_code CURRENCY_MISMATCH',
    ]);
    expect(await refusal(service.update({ invoiceId: 'u5', updateMask: ['etag'] }))).toEqual([
      'INVALID_ARGUMENT UNKNOWN_PATH',
      'update_mask UNKNOWN_PATH',
    ]);
    expect(await refusal(service.update({ invoiceId: 'u5', updateMask: ['*'] }))).toEqual([
      'INVALID_ARGUMENT FIELD_REQUIRED',
      'amount FIELD_REQUIRED',
    ]);
    expect((await service.get('u5')).etag).toBe('1');
  });

  test('refuses an invoice that is not there, or is of another tenant', async () => {
    await service.create({ invoiceId: 'u6', amount }, 'acme');
    const notFound = ['NOT_FOUND INVOICE_NOT_FOUND'];
    expect(await refusal(service.update({ invoiceId: 'u6', amount }))).toEqual(notFound);
    expect(await refusal(service.update({ invoiceId: 'nobody', amount }, 'acme'))).toEqual(
      notFound,
    );
  });
});

describe('PayInvoice', () => {
  test('pays once, with another amount if need be, and then changes no more', async () => {
    await service.create({ invoiceId: 'p1', amount });
    const amountReceived = dollars(150);
    const paid = await service.pay({ invoiceId: 'p1', amountReceived, paidAt: dueDate, etag: '1' });
    expect(paid).toMatchObject({
      status: 'INVOICE_STATUS_PAID',
      amount,
      amountReceived,
      paidAt: toTheMillisecond,
      etag: '2',
    });
    expect(await service.get('p1')).toEqual(paid);
    const isPaid = ['FAILED_PRECONDITION INVOICE_PAID'];
    expect(await refusal(service.pay({ invoiceId: 'p1', amountReceived }))).toEqual(isPaid);
    expect(await refusal(service.update({ invoiceId: 'p1', description: 'a' }))).toEqual(isPaid);
    expect(await refusal(service.update({ invoiceId: 'p1' }))).toEqual(isPaid);
  });

  test('is recorded as paid now when no time is given', async () => {
    await service.create({ invoiceId: 'p2', amount });
    await service.update({ invoiceId: 'p2', description: 'a' });
    const paid = await service.pay({ invoiceId: 'p2', amountReceived: amount });
    expect(paid.paidAt).toEqual(paid.updateTime);
  });

  test('refuses another currency, a stale etag and an invoice that is not there', async () => {
    await service.create({ invoiceId: 'p3', amount });
    const yen = { currencyCode: 'JPY', units: 1n, nanos: 0 };
    expect(await refusal(service.pay({ invoiceId: 'p3', amountReceived: yen }))).toEqual([
      'INVALID_ARGUMENT CURRENCY_MISMATCH',
      'amount_received.currency_code CURRENCY_MISMATCH',
    ]);
    const stale = service.pay({ invoiceId: 'p3', amountReceived: amount, etag: '9' });
    expect(await refusal(stale)).toEqual(['ABORTED ETAG_MISMATCH']);
    const nobody = service.pay({ invoiceId: 'nobody', amountReceived: amount });
    expect(await refusal(nobody)).toEqual(['NOT_FOUND INVOICE_NOT_FOUND']);
  });
});

describe('GetInvoice', () => {
  test('refuses an id that is not there, or is none', async () => {
    expect(await refusal(service.get('nobody'))).toEqual(['NOT_FOUND INVOICE_NOT_FOUND']);
    expect(await refusal(service.get(''))).toEqual([
      'INVALID_ARGUMENT FIELD_REQUIRED',
      'invoice_id FIELD_REQUIRED',
    ]);
    expect(await refusal(service.get('a\0'))).toEqual([
      'INVALID_ARGUMENT FIELD_INVALID',
      'invoice_id FIELD_INVALID',
    ]);
  });
});

test('changes of one invoice at the same time get consecutive versions', async () => {
  await service.create({ invoiceId: 'busy', amount });
  const changes = Array.from({ length: 50 }, (_, index) =>
    service.update({ invoiceId: 'busy', description: `change ${index}` }),
  );
  const etags = (await Promise.all(changes)).map((invoice) => Number(invoice.etag));
  expect(etags.toSorted((a, b) => a - b)).toEqual(changes.map((_, index) => index + 2));
  const { events } = await service.events({ invoiceId: 'busy', pageSize: 100 });
  expect(events.map((event) => Number(event.sequence))).toEqual(events.map((_, i) => i + 1));
});

test('of changes that carry the same etag one wins', async () => {
  await service.create({ invoiceId: 'race', amount });
  const changes = Array.from({ length: 10 }, (_, index) =>
    refusal(service.update({ invoiceId: 'race', description: `${index}`, etag: '1' })),
  );
  const answers = (await Promise.all(changes)).map(([answer]) => answer);
  expect(answers.filter((answer) => answer === 'OK')).toHaveLength(1);
  expect(answers.filter((answer) => answer === 'ABORTED ETAG_MISMATCH')).toHaveLength(9);
});
