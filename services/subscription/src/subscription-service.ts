import { createDestinationPolicy, createNameLookup } from '@billhook/destinations';
import { createEventStore, prepareEventStore } from '@billhook/event-store';
import type { EventStore } from '@billhook/event-store';
import { startGrpcServer } from '@billhook/grpc';
import type { Monitoring } from '@billhook/metrics';
import { createPool, createProbe, listen, migrate } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import type { Log, RunningService } from '@billhook/runtime';
import { createSecretBox } from '@billhook/secrets';
import type { SecretBox } from '@billhook/secrets';
import type { SubscriptionConfig } from './config.ts';
import { createReachableCheck } from './dns/destinations.ts';
import { createBell } from './grpc/bell.ts';
import type { Bell } from './grpc/bell.ts';
import { createDeliveryStatus } from './grpc/delivery-status.ts';
import { createSubscriptionService } from './grpc/subscription-service.ts';
import type { AddressedCommand, CommandAnswer } from './grpc/subscription-service.ts';
import { createEndpointAggregate } from './postgres/endpoint-aggregate.ts';
import { createEndpointReader, createWatchLog } from './postgres/endpoint-reader.ts';
import { startSecretExpiry } from './postgres/expiry.ts';
import { LANES, migrations, SCHEMA } from './postgres/migrations.ts';
import { rememberRevision } from './postgres/revision.ts';
import { renewSecrets, requireRightKey } from './postgres/secret-keys.ts';

/** One for the batch under way, one for its notifications, the rest for reads and watchers. */
const MAX_CONNECTIONS = 8;

/** The barrier of every dispatcher asks here, with one short query each. */
const MAX_REVISION_CONNECTIONS = 2;

/** A subscription service, and what a dispatcher in the same process may ask without a call. */
export interface RunningSubscriptionService extends RunningService {
  /** The revision of the set of endpoints. It is right only while no other copy of the service runs. */
  revision(): Promise<bigint>;
}

/**
 * Starts the subscription service: brings its schema up to date, checks the key, opens the store
 * and listens.
 *
 * @returns the running service; its `stop` answers the calls under way, ends the watches, commits
 * what waits and closes its connections.
 * @throws ConfigurationError when the key is not that of the database, or it cannot listen.
 */
export async function startSubscriptionService(
  config: SubscriptionConfig,
  { log, monitoring }: { readonly log: Log; readonly monitoring: Monitoring },
): Promise<RunningSubscriptionService> {
  await using cleanup = new AsyncDisposableStack();
  const openPool = (applicationName: string, maxConnections: number): Pool => {
    const { databaseUrl: connectionString } = config;
    const pool = createPool({ connectionString, applicationName, maxConnections, log });
    cleanup.defer(() => pool.end());
    return pool;
  };
  const pool = openPool('billhook-subscription', MAX_CONNECTIONS);
  const revisionPool = openPool('billhook-subscription-revision', MAX_REVISION_CONNECTIONS);
  const secretBox = createSecretBox(config.secretKeys);

  monitoring.addCheck(createProbe(pool));
  await migrate(pool, { schema: SCHEMA, migrations });
  await requireRightKey(pool, secretBox);
  if (config.secretKeys.length > 1) {
    await renewSecrets(pool, secretBox);
  }
  const expiry = startSecretExpiry({ pool, log });
  cleanup.defer(() => expiry.stop());
  const store = await openStore({ pool, secretBox, log, monitoring }, config, cleanup);
  const bell = createBell();
  store.onCommitted(() => bell.ring());
  await hearOtherCopies({ bell, log }, config, cleanup);

  const reader = createEndpointReader({ pool, revisionPool });
  monitoring.addGauge(
    { name: 'billhook_subscription_revision', help: 'The revision of the set of endpoints.' },
    async () => Number(await reader.revision()),
  );
  const policy = createDestinationPolicy(config);
  const deliveryStatus = createDeliveryStatus({ log }, config.deliveryTarget);
  cleanup.defer(() => deliveryStatus.close());
  const service = createSubscriptionService({
    store,
    deliveryStatus,
    reader,
    requireReachable: createReachableCheck({ lookup: createNameLookup(), log }, policy),
    maxTimeoutMs: config.deliveryTimeoutMs,
    watch: { log: createWatchLog(pool), bell },
  });
  const server = await startGrpcServer({
    address: config.address,
    services: [service],
    log,
    monitoring,
  });
  cleanup.defer(() => server.stop(config.shutdownTimeoutMs));
  const opened = cleanup.move();
  return {
    name: 'subscription',
    address: server.address,
    revision: rememberRevision(
      () => reader.revision(),
      (listener) => store.onCommitted(listener),
    ),
    stop: () => opened.disposeAsync(),
  };
}

async function openStore(
  deps: {
    readonly pool: Pool;
    readonly secretBox: SecretBox;
    readonly log: Log;
    readonly monitoring: Monitoring;
  },
  { requestIdRetentionMs }: SubscriptionConfig,
  cleanup: AsyncDisposableStack,
): Promise<EventStore<AddressedCommand, CommandAnswer>> {
  const { pool, secretBox, log, monitoring } = deps;
  const options = { schema: SCHEMA, lanes: LANES, requestIdRetentionMs };
  const preparation = await prepareEventStore(pool, { ...options, log });
  cleanup.defer(() => preparation.stop());
  const store = createEventStore(
    { pool, aggregate: createEndpointAggregate(secretBox), log, monitoring },
    options,
  );
  cleanup.defer(() => store.stop());
  return store;
}

/** Watchers are woken by what this process appends, and by what other copies of it append. */
async function hearOtherCopies(
  { bell, log }: { readonly bell: Bell; readonly log: Log },
  { databaseUrl: connectionString }: SubscriptionConfig,
  cleanup: AsyncDisposableStack,
): Promise<void> {
  const channel = `${SCHEMA}_appended`;
  const onNotify = () => bell.ring();
  const listener = await listen({ connectionString, channel, onNotify, log });
  cleanup.defer(() => listener.close());
}
