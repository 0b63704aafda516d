import { describe, expect, test } from 'vitest';
import { dollars, refusal, tick, useInvoiceService } from '../testing/invoice-service.ts';
import { deriveInvoiceId } from './invoice-ids.ts';

const service = useInvoiceService();

const amount = dollars(200);
const anotherContent = ['INVALID_ARGUMENT REQUEST_ID_REUSED', 'request_id REQUEST_ID_REUSED'];

async function countEvents(invoiceId: string, tenant?: string): Promise<number> {
  return (await service.events({ invoiceId }, tenant)).events.length;
}

describe('a repeat of a create', () => {
  test('gets the same answer, and makes nothing, although the invoice has moved on', async () => {
    const create = { requestId: 'r1', invoiceId: 'i1', amount };
    const created = await service.create(create);
    await tick();
    await service.update({ invoiceId: 'i1', description: 'later' });
    expect(await service.create(create)).toEqual(created);
    expect(await countEvents('i1')).toBe(2);
  });

  test('is known without an invoice_id by its tenant', async () => {
    const create = { requestId: 'r2', amount };
    const created = await service.create(create, 'acme');
    expect(created.invoiceId).toBe(deriveInvoiceId('acme', 'r2'));
    expect(await service.create(create, 'acme')).toEqual(created);
    const elsewhere = await service.create(create, 'other');
    expect(elsewhere.invoiceId).not.toBe(created.invoiceId);
    expect(await countEvents(created.invoiceId, 'acme')).toBe(1);
  });

  test('is refused with another content', async () => {
    await service.create({ requestId: 'r3', amount });
    const other = service.create({ requestId: 'r3', amount: dollars(201) });
    expect(await refusal(other)).toEqual(anotherContent);
    await service.create({ requestId: 'r3', invoiceId: 'i3', amount });
    const described = service.create({ requestId: 'r3', invoiceId: 'i3', amount, description: '' });
    expect(await refusal(described)).toEqual(anotherContent);
  });

  test('without a request_id is another create', async () => {
    const first = await service.create({ amount });
    const second = await service.create({ amount });
    expect(second.invoiceId).not.toBe(first.invoiceId);
  });
});

describe('a repeat of a change', () => {
  test('gets the same answer, also when its etag is stale by now', async () => {
    await service.create({ invoiceId: 'i4', amount });
    const update = { requestId: 'r4', invoiceId: 'i4', description: 'a', etag: '1' };
    const updated = await service.update(update);
    const paid = await service.pay({ requestId: 'r5', invoiceId: 'i4', amountReceived: amount });
    expect(await service.update(update)).toEqual(updated);
    expect(await service.pay({ requestId: 'r5', invoiceId: 'i4', amountReceived: amount })).toEqual(
      paid,
    );
    expect(await countEvents('i4')).toBe(3);
  });

  test('that changed nothing gets the answer of that time', async () => {
    const created = await service.create({ invoiceId: 'i5', amount, description: 'a' });
    const update = { requestId: 'r6', invoiceId: 'i5', description: 'a' };
    expect(await service.update(update)).toEqual(created);
    await service.update({ invoiceId: 'i5', description: 'b' });
    expect(await service.update(update)).toEqual(created);
    expect((await service.get('i5')).description).toBe('b');
  });

  test('is refused as another method', async () => {
    await service.create({ requestId: 'r7', invoiceId: 'i6', amount });
    const update = service.update({ requestId: 'r7', invoiceId: 'i6', amount: dollars(1) });
    expect(await refusal(update)).toEqual(anotherContent);
  });

  test('belongs to its invoice: another invoice may use the same request_id', async () => {
    await service.create({ invoiceId: 'i7', amount });
    await service.create({ invoiceId: 'i8', amount });
    await service.update({ requestId: 'r8', invoiceId: 'i7', description: 'a' });
    const other = await service.update({ requestId: 'r8', invoiceId: 'i8', description: 'b' });
    expect(other).toMatchObject({ invoiceId: 'i8', description: 'b' });
  });

  test('is tried again when it was refused', async () => {
    const update = { requestId: 'r9', invoiceId: 'i9', description: 'a' };
    expect(await refusal(service.update(update))).toEqual(['NOT_FOUND INVOICE_NOT_FOUND']);
    await service.create({ invoiceId: 'i9', amount });
    expect(await service.update(update)).toMatchObject({ description: 'a', etag: '2' });
  });
});

test('repeats at the same time make one event, and all get its answer', async () => {
  const create = { requestId: 'storm', amount };
  const answers = await Promise.all(Array.from({ length: 30 }, () => service.create(create)));
  const [first] = answers;
  for (const answer of answers) {
    expect(answer).toEqual(first);
  }
  expect(await countEvents(first?.invoiceId ?? '')).toBe(1);
});

test('a repeat is known after a restart', async () => {
  const create = { requestId: 'before', amount, description: 'a' };
  const created = await service.create(create);
  await service.update({ invoiceId: created.invoiceId, description: 'b' });
  await service.restart();
  expect(await service.create(create)).toEqual(created);
  const other = service.create({ ...create, description: 'c' });
  expect(await refusal(other)).toEqual(anotherContent);
  expect(await countEvents(created.invoiceId)).toBe(2);
});
