import { createEventStore, prepareEventStore } from '@billhook/event-store';
import { startGrpcServer } from '@billhook/grpc';
import { createPool } from '@billhook/postgres';
import { createInvoiceService } from './grpc/invoice-service.ts';
import { invoiceAggregate } from './postgres/invoice-aggregate.ts';
import { createInvoiceReader } from './postgres/invoice-reader.ts';
import { migrateInvoices, SCHEMA } from './postgres/migrations.ts';
import type { Log, RunningService } from '@billhook/runtime';
import type { InvoiceConfig } from './config.ts';

/** One for the batch under way, one for its notifications, the rest for reads. */
const MAX_CONNECTIONS = 10;

/**
 * Starts the invoice service: brings its schema up to date, opens the store and listens.
 *
 * @returns the running service; its `stop` answers the calls under way, commits what waits and closes
 * its connections.
 */
export async function startInvoiceService(
  config: InvoiceConfig,
  { log }: { readonly log: Log },
): Promise<RunningService> {
  const { address, databaseUrl: connectionString, lanes, requestIdRetentionMs } = config;
  const pool = createPool({
    connectionString,
    applicationName: 'billhook-invoice',
    maxConnections: MAX_CONNECTIONS,
    log,
  });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => pool.end());
  await migrateInvoices(pool);
  const preparation = await prepareEventStore(pool, {
    schema: SCHEMA,
    lanes,
    requestIdRetentionMs,
  });
  cleanup.defer(() => preparation.stop());
  const store = createEventStore(
    { pool, aggregate: invoiceAggregate, log },
    { schema: SCHEMA, lanes, requestIdRetentionMs },
  );
  cleanup.defer(() => store.stop());
  const service = createInvoiceService({ store, reader: createInvoiceReader(pool) });
  const server = await startGrpcServer({ address, services: [service], log });
  // The calls get half of the time; the rest is for what they have left in the store's queue.
  cleanup.defer(() => server.stop(config.shutdownTimeoutMs / 2));
  const opened = cleanup.move();
  return { name: 'invoice', address: server.address, stop: () => opened.disposeAsync() };
}
