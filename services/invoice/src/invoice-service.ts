import { createEventStore, prepareEventStore, type AppendBell } from '@billhook/event-store';
import { startGrpcServer, type GrpcServer } from '@billhook/grpc';
import type { Monitoring } from '@billhook/metrics';
import { createPool, createProbe, type Pool } from '@billhook/postgres';
import { createInvoiceService } from './grpc/invoice-service.ts';
import { openRelay } from './kafka/open-relay.ts';
import type { Relay } from './kafka/relay.ts';
import { addRelayMetrics, problemOf } from './kafka/relay-metrics.ts';
import { invoiceAggregate } from './postgres/invoice-aggregate.ts';
import { createInvoiceReader } from './postgres/invoice-reader.ts';
import { readAppendedPositions } from './postgres/relay-cursors.ts';
import { migrateInvoices, SCHEMA } from './postgres/migrations.ts';
import type { Log, RunningService } from '@billhook/runtime';
import type { InvoiceConfig } from './config.ts';

/** One for the batch under way, one for its notifications, the rest for reads. */
const MAX_CONNECTIONS = 10;

/** The name by which the server's health speaks of the relay: mutations go on without it. */
const RELAY_HEALTH = 'billhook.relay';
const HEALTH_EVERY_MS = 1_000;

export interface InvoiceDependencies {
  readonly log: Log;
  readonly monitoring: Monitoring;
  /** Rung after each append, for readers in this process. */
  readonly bell?: AppendBell | undefined;
}

/**
 * Starts the invoice service: brings its schema up to date, opens the store, relays to Kafka if one is
 * configured, and listens.
 *
 * @throws ConfigurationError when an address is taken, or the topic cannot carry the events.
 * @returns the running service; its `stop` answers the calls under way, commits what waits and closes
 * its connections.
 */
export async function startInvoiceService(
  config: InvoiceConfig,
  { log, monitoring, bell }: InvoiceDependencies,
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
  monitoring.addCheck(createProbe(pool));
  await migrateInvoices(pool);
  const preparation = await prepareEventStore(pool, {
    schema: SCHEMA,
    lanes,
    requestIdRetentionMs,
    log,
  });
  cleanup.defer(() => preparation.stop());
  const relay = config.kafka && (await openRelay(config, config.kafka, log));
  // It stops last: it also relays what the last calls append.
  cleanup.defer(() => relay?.stop());
  const store = createEventStore(
    { pool, aggregate: invoiceAggregate, log, monitoring, bell },
    { schema: SCHEMA, lanes, requestIdRetentionMs },
  );
  cleanup.defer(() => store.stop());
  store.onCommitted(() => relay?.wake());
  showPositions(monitoring, pool, lanes);
  const service = createInvoiceService({ store, reader: createInvoiceReader(pool) });
  const server = await startGrpcServer({ address, services: [service], log, monitoring });
  // The calls get half of the time; the rest is for what they have left in the store's queue.
  cleanup.defer(() => server.stop(config.shutdownTimeoutMs / 2));
  if (relay !== undefined) cleanup.defer(showRelay(relay, { server, monitoring }));
  const opened = cleanup.move();
  return { name: 'invoice', address: server.address, stop: () => opened.disposeAsync() };
}

/** Shows up to where each lane has events: what dispatchers and relays are compared with. */
function showPositions({ addLabelledGauge }: Monitoring, pool: Pool, lanes: number): void {
  const all = Array.from({ length: lanes }, (_, lane) => lane);
  addLabelledGauge(
    {
      name: 'billhook_invoice_lane_position',
      help: 'The position of the last event of a lane in the store.',
      label: 'lane',
    },
    () => readAppendedPositions(pool, all),
  );
}

/** Shows how the relay stands in metrics and health. Returns what ends that. */
function showRelay(
  relay: Relay,
  { server, monitoring }: { readonly server: GrpcServer; readonly monitoring: Monitoring },
): () => void {
  addRelayMetrics(monitoring, relay);
  const show = (): void => server.setHealth(RELAY_HEALTH, problemOf(relay) === undefined);
  show();
  const timer = setInterval(show, HEALTH_EVERY_MS);
  return () => clearInterval(timer);
}
