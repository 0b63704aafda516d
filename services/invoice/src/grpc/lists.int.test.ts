import { invoiceV1 } from '@billhook/contracts';
import { describe, expect, test } from 'vitest';
import { dollars, refusal, useInvoiceService } from '../testing/invoice-service.ts';

const service = useInvoiceService();

const amount = dollars(200);
const { INVOICE_STATUS_PAID, INVOICE_STATUS_UPDATED } = invoiceV1.InvoiceStatus;

async function createAll(tenant: string, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((invoiceId) => service.create({ invoiceId, amount }, tenant)));
}

/** Reads page after page; between two of them `meanwhile` happens. */
async function readPages(
  tenant: string,
  request: Partial<invoiceV1.ListInvoicesRequest>,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<readonly (readonly string[])[]> {
  const pages: string[][] = [];
  let pageToken = '';
  do {
    const page = await service.list({ ...request, pageToken }, tenant);
    pages.push(page.invoices.map((invoice) => invoice.invoiceId));
    pageToken = page.nextPageToken;
    await meanwhile();
  } while (pageToken !== '');
  return pages;
}

describe('ListInvoices', () => {
  test('gives the invoices of the tenant in the order of their ids, page by page', async () => {
    await createAll('pages', ['b', 'a', 'C', 'a-1', '0']);
    await createAll('others', ['a', 'z']);
    expect(await readPages('pages', { pageSize: 2 })).toEqual([['0', 'C'], ['a', 'a-1'], ['b']]);
    expect(await readPages('pages', {})).toEqual([['0', 'C', 'a', 'a-1', 'b']]);
    expect(await readPages('nobody', {})).toEqual([[]]);
  });

  test('neither repeats nor skips an invoice while others are added', async () => {
    const old = Array.from({ length: 20 }, (_, index) => `m${String(index).padStart(2, '0')}`);
    await createAll('growing', old);
    let added = 0;
    const meanwhile = () => {
      added += 1;
      return createAll('growing', [`a${added}`, `m00x${added}`, `z${added}`]);
    };
    const seen = (await readPages('growing', { pageSize: 3 }, meanwhile)).flat();
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => old.includes(id))).toEqual(old);
  });

  test('gives only those of a status', async () => {
    await createAll('filter', ['a', 'b', 'c', 'd']);
    await service.pay({ invoiceId: 'b', amountReceived: amount }, 'filter');
    await service.pay({ invoiceId: 'd', amountReceived: amount }, 'filter');
    await service.update({ invoiceId: 'c', description: 'x' }, 'filter');
    const paid = { status: INVOICE_STATUS_PAID, pageSize: 1 };
    expect(await readPages('filter', paid)).toEqual([['b'], ['d']]);
    expect(await readPages('filter', { status: INVOICE_STATUS_UPDATED })).toEqual([['c']]);
  });

  test('looks at so many invoices for a filter at most, and goes on behind them', async () => {
    await service.pool.query(`
      insert into invoice.invoice
        (tenant, invoice_id, version, status, currency, amount_minor, created_at_ms, updated_at_ms)
      select 'many', 'i' || lpad(number::text, 6, '0'), 1, 'pending', 'USD', 1, 0, 0
      from generate_series(1, 25000) as number`);
    await service.pool.query(`
      update invoice.invoice
      set status = 'paid', amount_received_minor = 1, paid_at_ms = 0
      where tenant = 'many' and invoice_id in ('i015000', 'i025000')`);
    const pages = await readPages('many', { status: INVOICE_STATUS_PAID });
    expect(pages).toEqual([[], ['i015000'], ['i025000']]);
  });

  test('gives fewer than were asked for when they would not fit a message', async () => {
    const description = '😀'.repeat(1_024);
    const ids = Array.from({ length: 600 }, (_, index) => `l${String(index).padStart(3, '0')}`);
    await Promise.all(
      ids.map((invoiceId) => service.create({ invoiceId, amount, description }, 'large')),
    );
    const pages = await readPages('large', { pageSize: 1_000 });
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flat()).toEqual(ids);
  });

  test('names every field that is wrong', async () => {
    expect(await refusal(service.list({ pageSize: -1, pageToken: 'x' }))).toEqual([
      'INVALID_ARGUMENT PAGE_SIZE_INVALID',
      'page_size PAGE_SIZE_INVALID',
      'page_token PAGE_TOKEN_INVALID',
    ]);
  });
});

describe('ListInvoiceEvents', () => {
  test('gives the history of an invoice, oldest first', async () => {
    const created = await service.create({ invoiceId: 'h1', amount, description: 'a' });
    await service.update({ invoiceId: 'h1', description: 'b', updateMask: ['description'] });
    const paid = await service.pay({ invoiceId: 'h1', amountReceived: amount });
    const { events, nextPageToken } = await service.events({ invoiceId: 'h1' });
    expect(nextPageToken).toBe('');
    expect(events.map(({ event, sequence }) => [event, sequence])).toEqual([
      ['invoice_created', 1n],
      ['invoice_updated', 2n],
      ['invoice_paid', 3n],
    ]);
    expect(events.map(({ content }) => content?.change)).toEqual([
      { $case: 'created', value: { amount, dueDate: undefined, description: 'a' } },
      {
        $case: 'updated',
        value: {
          changedFields: ['description'],
          amount: undefined,
          dueDate: undefined,
          description: 'b',
        },
      },
      { $case: 'paid', value: { amountReceived: amount, paidAt: paid.paidAt } },
    ]);
    expect(events[0]?.eventTime).toEqual(created.createTime);
    expect(events[2]?.eventTime).toEqual(paid.updateTime);
    for (const { eventId } of events) {
      expect(eventId).toMatch(/^evt_[0-9a-f]{32}$/);
    }
  });

  test('goes on behind the page before, also when events were added meanwhile', async () => {
    await service.create({ invoiceId: 'h2', amount });
    await service.update({ invoiceId: 'h2', description: '1' });
    const first = await service.events({ invoiceId: 'h2', pageSize: 1 });
    await service.update({ invoiceId: 'h2', description: '2' });
    const { nextPageToken: pageToken } = first;
    const rest = await service.events({ invoiceId: 'h2', pageSize: 9, pageToken });
    expect([...first.events, ...rest.events].map((event) => event.sequence)).toEqual([1n, 2n, 3n]);
    expect(rest.nextPageToken).toBe('');
  });

  test('refuses an invoice that is not there, and a token of another invoice', async () => {
    expect(await refusal(service.events({ invoiceId: 'nobody' }))).toEqual([
      'NOT_FOUND INVOICE_NOT_FOUND',
    ]);
    await service.create({ invoiceId: 'h3', amount });
    await service.update({ invoiceId: 'h3', description: '1' });
    const { nextPageToken } = await service.events({ invoiceId: 'h3', pageSize: 1 });
    const other = service.events({ invoiceId: 'h1', pageToken: nextPageToken });
    expect(await refusal(other)).toEqual([
      'INVALID_ARGUMENT PAGE_TOKEN_INVALID',
      'page_token PAGE_TOKEN_INVALID',
    ]);
  });
});
