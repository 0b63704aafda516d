import { readStream } from '@billhook/event-store';
import { isUnavailable } from '@billhook/postgres';
import { ServiceError } from '@billhook/runtime';
import { findInvoiceIdAhead, getInvoice, selectInvoices } from './invoice-table.ts';
import { SCHEMA } from './migrations.ts';
import type { Pool } from '@billhook/postgres';
import type { InvoiceReader, InvoiceSlice, ListRange } from '../grpc/invoice-service.ts';

/**
 * How many invoices one call of a filtered list looks at. There is no index by status, so a page may
 * come out short, even empty, and be followed by others (https://google.aip.dev/158).
 */
const MAX_EXAMINED_INVOICES = 10_000;

/**
 * Reads the read model, and histories from the event store.
 *
 * While Postgres is away a read fails with a ServiceError `UNAVAILABLE`.
 */
export function createInvoiceReader(pool: Pool): InvoiceReader {
  return {
    get: (key) => unlessAway(getInvoice(pool, key)),
    list: (range) => unlessAway(listInvoices(pool, range)),
    history: ({ tenant, invoiceId: streamId }, { afterVersion, limit }) =>
      unlessAway(readStream(pool, { schema: SCHEMA, tenant, streamId, afterVersion, limit })),
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

async function unlessAway<Result>(read: Promise<Result>): Promise<Result> {
  try {
    return await read;
  } catch (error) {
    if (!isUnavailable(error)) {
      throw error;
    }
    const message = 'The store is not available. Read again a little later.';
    throw new ServiceError('UNAVAILABLE', 'STORE_UNAVAILABLE', message, { cause: error });
  }
}
