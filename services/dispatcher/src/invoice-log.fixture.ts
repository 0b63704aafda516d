import {
  createEventStore,
  eventStoreMigrations,
  prepareEventStore,
  type Aggregate,
  type Stream,
} from '@billhook/event-store';
import { createPool, migrate } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import { INVOICE_CREATED } from './created-invoice.fixture.ts';

const SCHEMA = 'invoice';
const REQUEST_ID_RETENTION_MS = 60_000;

/** The invoice service's events, without the service. */
export interface InvoiceLog {
  /** Appends the next event of an invoice. */
  append(invoiceId: string): Promise<void>;
  stop(): Promise<void>;
}

/** Makes the store of the invoice service in a fresh database. */
export async function startInvoiceLog(
  deps: { readonly connectionString: string; readonly log: Log },
  { lanes }: { readonly lanes: number },
): Promise<InvoiceLog> {
  const pool = createPool({ ...deps, applicationName: 'invoices', maxConnections: 2 });
  await migrate(pool, { schema: SCHEMA, migrations: eventStoreMigrations(SCHEMA) });
  const options = { schema: SCHEMA, lanes, requestIdRetentionMs: REQUEST_ID_RETENTION_MS };
  const prepared = await prepareEventStore(pool, options);
  const store = createEventStore({ pool, log: deps.log, aggregate: onlyCreated() }, options);
  return {
    async append(streamId) {
      await store.execute({
        command: { tenant: 'default', streamId },
        bytes: INVOICE_CREATED.length,
      });
    },
    async stop() {
      await store.stop();
      await prepared.stop();
      await pool.end();
    },
  };
}

/** Every command appends an event; what it says does not matter here. */
function onlyCreated(): Aggregate<Stream, Map<string, number>, number> {
  const versions = new Map<string, number>();
  return {
    load: () => Promise.resolve(versions),
    version: (known, { streamId }) => known.get(streamId) ?? 0,
    decide(known, { streamId }) {
      const version = (known.get(streamId) ?? 0) + 1;
      known.set(streamId, version);
      const events = [{ type: 'invoice_created', data: INVOICE_CREATED }];
      return { kind: 'accepted', events, answer: version };
    },
    save: () => [],
    encodeAnswer: (version) => Buffer.from(String(version)),
    decodeAnswer: (bytes) => Number(Buffer.from(bytes).toString()),
  };
}
