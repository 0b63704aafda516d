import { expect, test } from 'vitest';
import { dollars, refusal, useInvoiceService } from '../testing/invoice-service.ts';
import { rebuildInvoices } from './rebuild-invoices.ts';

const service = useInvoiceService();

const TENANTS = ['default', 'acme'];
const INVOICES = 40;

async function readTable(): Promise<readonly unknown[]> {
  const { rows } = await service.pool.query(
    'select * from invoice.invoice order by tenant, invoice_id',
  );
  return rows;
}

async function countEvents(): Promise<number> {
  const { rows } = await service.pool.query<{ count: bigint }>(
    'select count(*) from invoice.event_log',
  );
  return Number(rows[0]?.count);
}

/** A history of its own for each invoice: none, one or two changes, and for some a payment. */
async function liveThrough(tenant: string, index: number): Promise<void> {
  const invoiceId = `i${index}`;
  const amount = dollars(index + 1);
  const dueDate = { seconds: BigInt(index) * 1_000n - 5_000n, nanos: 7_000_000 };
  await service.create({ invoiceId, amount, dueDate, description: 'a' }, tenant);
  if (index % 2 === 1) {
    await service.update({ invoiceId, amount: dollars(index + 2) }, tenant);
  }
  if (index % 3 === 1) {
    await service.update({ invoiceId, updateMask: ['due_date', 'description'] }, tenant);
  }
  if (index % 4 === 1) {
    await service.pay({ invoiceId, amountReceived: dollars(index + 0.5) }, tenant);
  }
}

test('the read model is made anew from the events alone, and equals what it was', async () => {
  const lives = TENANTS.flatMap((tenant) =>
    Array.from({ length: INVOICES }, (_, index) => liveThrough(tenant, index)),
  );
  await Promise.all(lives);
  const before = await readTable();
  expect(before).toHaveLength(TENANTS.length * INVOICES);
  await service.pool.query(`
    delete from invoice.invoice where tenant = 'acme' and status <> 'pending';
    update invoice.invoice set amount_minor = 1, version = 99, description = 'wrong';
    insert into invoice.invoice
      (tenant, invoice_id, version, status, currency, amount_minor, created_at_ms, updated_at_ms)
    values ('default', 'never-made', 1, 'pending', 'USD', 1, 0, 0)`);
  const { events } = await rebuildInvoices(service.pool);
  expect(events).toBe(await countEvents());
  expect(await readTable()).toEqual(before);
});

test('more events than are held in memory are rebuilt in order', async () => {
  await service.create({ invoiceId: 'long', amount: dollars(1) });
  const changes = Array.from({ length: 2_500 }, (_, index) =>
    service.update({ invoiceId: 'long', description: `change ${index}` }),
  );
  await Promise.all(changes);
  const before = await readTable();
  await rebuildInvoices(service.pool);
  expect(await readTable()).toEqual(before);
});

test('a rebuild beside running mutations loses none of them', async () => {
  const mutations = Array.from({ length: 200 }, (_, index) =>
    refusal(service.create({ invoiceId: `beside${index}`, amount: dollars(1) })),
  );
  const [answers] = await Promise.all([
    Promise.all(mutations),
    rebuildInvoices(service.pool),
    rebuildInvoices(service.pool),
  ]);
  expect(answers.flat()).toEqual(mutations.map(() => 'OK'));
  const before = await readTable();
  await rebuildInvoices(service.pool);
  expect(await readTable()).toEqual(before);
});

test('after a rebuild invoices change on as before', async () => {
  await service.create({ invoiceId: 'on', amount: dollars(1) });
  await rebuildInvoices(service.pool);
  expect(await service.update({ invoiceId: 'on', description: 'a', etag: '1' })).toMatchObject({
    etag: '2',
  });
});

test('a rebuild that meets a broken history changes nothing', async () => {
  await service.create({ invoiceId: 'broken', amount: dollars(1) });
  const before = await readTable();
  await service.pool.query(
    `update invoice.event set version = 7 where tenant = 'default' and stream_id = 'broken'`,
  );
  await expect(rebuildInvoices(service.pool)).rejects.toThrow('default/broken');
  expect(await readTable()).toEqual(before);
});
