import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { createDestinationPolicy, createNameLookup, type Lookup } from '@billhook/destinations';
import type { AppendBell } from '@billhook/event-log';
import { startGrpcServer, type GrpcServer } from '@billhook/grpc';
import { createLaneLeases, type LaneLeases } from '@billhook/lane-leases';
import type { Monitoring } from '@billhook/metrics';
import {
  createPool,
  createProbe,
  listen,
  migrate,
  startPartitionKeeper,
  type PartitionKeeper,
  type Pool,
} from '@billhook/postgres';
import type { Log, RunningService } from '@billhook/runtime';
import { createSecretBox } from '@billhook/secrets';

import type { DispatcherConfig } from './config.ts';
import { startDelivering } from './dispatching/delivering.ts';
import { createEventLookup } from './dispatching/event-lookup.ts';
import { PING_LIMITS } from './dispatching/ping-queue.ts';
import { createPings } from './dispatching/ping.ts';
import { createTargets } from './dispatching/targets.ts';
import { createWebhookSender } from './dispatching/webhook-sender.ts';
import { openEventLog } from './event-log.ts';
import { createDeliveryService } from './grpc/delivery-service.ts';
import { createSender, type Sender } from './http/sender.ts';
import { addPingMetrics } from './metrics/budget-metrics.ts';
import { addLanes } from './postgres/lanes.ts';
import { migrations, SCHEMA } from './postgres/migrations.ts';
import { REQUEST_CHANNEL } from './postgres/requests.ts';
import { createGrpcSource, createSubscriptionClient } from './subscriptions/grpc-source.ts';
import { createSubscriptionView } from './subscriptions/view.ts';
import { createWebhookHeaders } from './webhook/headers.ts';

/** Recording, reading, claiming, loading lanes, and what the API asks. */
const MAX_CONNECTIONS = 8;
/** Renewals have a connection of their own: nothing may make them wait. */
const LEASE_CONNECTIONS = 1;

const MAX_RESPONSE_BYTES = 16 * 1024;
const MAX_ORIGINS = 1_024;

/** What is left of the stop's time for recording the last answers and closing. */
const STOP_MARGIN_MS = 2_000;
/** What is left of it in any case, for the process to end. */
const EXIT_MARGIN_MS = 500;

export interface DispatcherDependencies {
  readonly log: Log;
  readonly monitoring: Monitoring;
  /** Rung after each append by an invoice service in this process. */
  readonly bell?: AppendBell | undefined;
  /** Says the revision of the endpoints, where the only subscription service is in this process. */
  readonly currentRevision?: (() => Promise<bigint>) | undefined;
}

/**
 * Starts a dispatcher: brings its schema up to date, watches the endpoints, takes its lanes, reads
 * and delivers. Its `stop` begins nothing new, waits for what is in flight, and gives its lanes up.
 */
export async function startDispatcherService(
  config: DispatcherConfig,
  { log, monitoring, bell, currentRevision }: DispatcherDependencies,
): Promise<RunningService> {
  await using cleanup = new AsyncDisposableStack();
  const pool = openPool(config, { log, maxConnections: MAX_CONNECTIONS });
  cleanup.defer(() => pool.end());
  const leasePool = openPool(config, { log, maxConnections: LEASE_CONNECTIONS });
  cleanup.defer(() => leasePool.end());
  monitoring.addCheck(createProbe(pool));
  await prepareSchema(pool, config);
  const partitions = await keepPartitions(pool, config, log);
  cleanup.defer(() => partitions.stop());
  const subscriptions = createSubscriptionClient(config.subscriptionTarget);
  cleanup.defer(() => subscriptions.close());
  const eventLog = await openEventLog({ pool, log, bell }, config, 'follow');
  cleanup.defer(() => eventLog.close());
  const lookup = createEventLookup(() => openEventLog({ pool, log, bell }, config, 'look-up'));
  cleanup.defer(() => lookup.close());
  const names = createNameLookup();
  const http = openSender(config, names, log);
  cleanup.defer(() => http.destroy());

  const dispatcherId = randomUUID();
  const leases = openLeases(leasePool, { ...config, dispatcherId }, log);
  const view = createSubscriptionView();
  const sender = createWebhookSender({
    sender: http,
    view,
    targetOf: createTargets(createSecretBox(config.secretKeys)),
    headersOf: createWebhookHeaders({ version: config.version, random: Math.random }),
    maySend: () => performance.now() < leases.safeUntilMs(),
    log,
    timeoutMs: config.deliveryTimeoutMs,
  });
  const delivering = await startDelivering(
    {
      pool,
      leases,
      eventLog,
      lookup,
      view,
      source: createGrpcSource(subscriptions, currentRevision),
      subscriptions,
      sender,
      log,
      monitoring,
    },
    { ...config, dispatcherId },
  );
  const stopTimeoutMs = Math.max(0, config.shutdownTimeoutMs - STOP_MARGIN_MS);
  let server: GrpcServer | undefined;
  // Both at once: a ping may take as long as a delivery.
  cleanup.defer(async () => {
    await Promise.all([server?.stop(stopTimeoutMs), delivering.stop(stopTimeoutMs)]);
  });
  const listener = await listen({
    connectionString: config.databaseUrl,
    channel: REQUEST_CHANNEL,
    onNotify: () => delivering.wake(),
    log,
  });
  cleanup.defer(() => listener.close());
  const { barrier } = delivering;
  const pings = createPings(
    { barrier, view, sender },
    { timeoutMs: config.deliveryTimeoutMs, limits: PING_LIMITS },
  );
  addPingMetrics(monitoring, { pings, lookup: names });
  const service = createDeliveryService({ pool, view, ping: pings.ping });
  const { address } = config;
  server = await startGrpcServer({ address, services: [service], log, monitoring });
  const opened = cleanup.move();
  return {
    name: 'dispatcher',
    address: server.address,
    stop: () => closeInTime(opened, { timeoutMs: config.shutdownTimeoutMs - EXIT_MARGIN_MS, log }),
  };
}

/**
 * Closes everything, and waits no longer than it may: connections to a Postgres that hangs close when
 * the process ends. Nothing is lost by that: leases that were not given up expire.
 */
async function closeInTime(
  opened: AsyncDisposableStack,
  { timeoutMs, log }: { readonly timeoutMs: number; readonly log: Log },
): Promise<void> {
  const waiting = new AbortController();
  const closed = opened.disposeAsync().finally(() => waiting.abort());
  const isLate = sleep(timeoutMs, true, { signal: waiting.signal }).catch(() => false);
  if (!(await isLate)) return closed;
  log.warn({ timeoutMs }, 'not everything could be closed in time');
  return void closed.catch((error: unknown) => log.debug({ err: error }, 'closed with an error'));
}

function openPool(
  { databaseUrl }: DispatcherConfig,
  options: { readonly log: Log; readonly maxConnections: number },
): Pool {
  return createPool({
    connectionString: databaseUrl,
    applicationName: 'billhook-dispatcher',
    ...options,
  });
}

async function prepareSchema(pool: Pool, config: DispatcherConfig): Promise<void> {
  await migrate(pool, { schema: SCHEMA, migrations });
  await addLanes(pool, config.lanes);
}

/** Keeps the delivery log's partitions. */
function keepPartitions(
  pool: Pool,
  { retentionMs }: DispatcherConfig,
  log: Log,
): Promise<PartitionKeeper> {
  const options = { table: `${SCHEMA}.attempt`, retentionMs };
  return startPartitionKeeper(pool, options, (error) => {
    log.warn({ err: error }, 'the partitions of the delivery log could not be kept');
  });
}

function openLeases(
  pool: Pool,
  config: Pick<DispatcherConfig, 'lanes' | 'ownership'> & { readonly dispatcherId: string },
  log: Log,
): LaneLeases {
  return createLaneLeases(
    { pool, log, monotonicMs: () => performance.now() },
    {
      schema: SCHEMA,
      lanes: config.lanes,
      ownerId: config.dispatcherId,
      ownership: config.ownership,
    },
  );
}

function openSender(config: DispatcherConfig, lookup: Lookup, log: Log): Sender {
  return createSender(
    { policy: createDestinationPolicy(config), lookup, egressProxy: config.egressProxy, log },
    {
      timeoutMs: config.deliveryTimeoutMs,
      maxResponseBytes: MAX_RESPONSE_BYTES,
      // Endpoints share hosts: one that hangs must not take the connections of its neighbour.
      // Neither must a ping take those of deliveries.
      connectionsPerOrigin: config.limits.maxInFlightPerOrigin + PING_LIMITS.maxPerOrigin,
      maxOrigins: MAX_ORIGINS,
      // As many as may be of use at a time.
      maxIdleConnections: config.limits.maxInFlight,
    },
  );
}
