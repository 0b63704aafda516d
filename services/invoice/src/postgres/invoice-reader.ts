import { readStream } from '@billhook/event-store';
import { SCHEMA } from './migrations.ts';
import { findInvoiceIdAhead, getInvoice, selectInvoices } from './invoice-table.ts';
import type { Pool } from '@billhook/postgres';
import type { InvoiceReader, InvoiceSlice, ListRange } from '../grpc/invoice-service.ts';

/**
 * How many invoices one call of a filtered list looks at. There is no index by status, so a page may
 * come out short, even empty, and be followed by others (https://google.aip.dev/158).
 */
const MAX_EXAMINED_INVOICES = 10_000;

/** Reads the read model, and histories from the event store. */
export function createInvoiceReader(pool: Pool): InvoiceReader {
  return {
    get: (key) => getInvoice(pool, key),
    list: (range) => listInvoices(pool, range),
    history: (key, range) =>
      readStream(pool, {
        schema: SCHEMA,
        tenant: key.tenant,
        streamId: key.invoiceId,
        afterVersion: range.afterVersion,
        limit: range.limit,
      }),
  };
}

async function listInvoices(pool: Pool, range: ListRange): Promise<InvoiceSlice> {
  const { tenant, after } = range;
  const examinedUpTo =
    range.status === undefined
      ? undefined
      : await findInvoiceIdAhead(pool, { tenant, after, count: MAX_EXAMINED_INVOICES });
  const invoices = await selectInvoices(pool, { ...range, upTo: examinedUpTo });
  return { invoices, examinedUpTo };
}
