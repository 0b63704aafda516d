import { randomUUID } from 'node:crypto';
import { openPostgresEventLog } from '@billhook/event-log';
import {
  createAdmin,
  createBatchProducer,
  createKafkaClient,
  createTopicKeeper,
  type KafkaClientOptions,
  type TopicKeeper,
} from '@billhook/kafka';
import { createLaneLeases } from '@billhook/lane-leases';
import { createPool } from '@billhook/postgres';
import { ConfigurationError, type Log, type Stoppable } from '@billhook/runtime';
import type { InvoiceConfig, KafkaConfig } from '../config.ts';
import { SCHEMA } from '../postgres/migrations.ts';
import { MAX_MESSAGE_BYTES } from './led-lane.ts';
import { startRelay, type Relay, type RelayDependencies } from './relay.ts';

/** Reads of the store, and cursors. */
const MAX_CONNECTIONS = 3;
/** Renewals have a connection of their own: nothing may make them wait. */
const LEASE_CONNECTIONS = 1;

/** A broker that is away must not keep mutations from being taken. */
const FIRST_LOOK_TIMEOUT_MS = 5_000;

/** Who looks at the topic gives up soon: without it KafkaJS tries to connect for ever, and says nothing. */
const LOOK_RETRIES = 2;

/** The relay with its connections. */
export type OpenRelay = Relay & Stoppable;

/**
 * Starts the relay with connections of its own.
 *
 * @throws ConfigurationError when the topic is there and cannot carry the lanes. While no broker
 *   answers, that is found out later, and said.
 */
export async function openRelay(
  config: InvoiceConfig,
  kafkaConfig: KafkaConfig,
  log: Log,
): Promise<OpenRelay> {
  const { databaseUrl: connectionString, lanes } = config;
  const { brokers, topic } = kafkaConfig;
  await using cleanup = new AsyncDisposableStack();
  const open = (maxConnections: number) => {
    const applicationName = 'billhook-relay';
    const pool = createPool({ connectionString, applicationName, maxConnections, log });
    cleanup.defer(() => pool.end());
    return pool;
  };
  const pool = open(MAX_CONNECTIONS);
  const leasePool = open(LEASE_CONNECTIONS);
  const client = { brokers, clientId: 'billhook-relay' };
  const options = { topic, partitions: lanes, maxMessageBytes: MAX_MESSAGE_BYTES };
  const keeper = createTopicKeeper({ log }, options);
  await lookAtTopic(client, keeper, log);
  const looking = createKafkaClient({ log }, { ...client, retries: LOOK_RETRIES });
  const leases = createLaneLeases(
    { pool: leasePool, log, monotonicMs },
    { schema: SCHEMA, lanes, ownerId: randomUUID() },
  );
  const store = await openPostgresEventLog({ pool, log }, { schema: SCHEMA, connectionString });
  cleanup.defer(() => store.close());
  const createProducer: RelayDependencies['createProducer'] = (deadline) =>
    createBatchProducer({ log }, { ...client, topic, ...deadline });
  const deps = { pool, leases, store, createProducer, looking, keeper, log, monotonicMs };
  const relay = await startRelay(deps, { topic, lanes });
  cleanup.defer(() => relay.stop(config.shutdownTimeoutMs / 4));
  const opened = cleanup.move();
  return { ...relay, stop: () => opened.disposeAsync() };
}

/** What is wrong with the topic should be said at the start, if a broker answers by then. */
async function lookAtTopic(
  client: Pick<KafkaClientOptions, 'brokers' | 'clientId'>,
  keeper: TopicKeeper,
  log: Log,
): Promise<void> {
  const signal = AbortSignal.timeout(FIRST_LOOK_TIMEOUT_MS);
  const kafka = createKafkaClient({ log }, { ...client, signal, retries: LOOK_RETRIES });
  const admin = createAdmin(kafka);
  try {
    await admin.connect();
    await keeper.prepare(admin, signal);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    log.warn({ err: error }, 'the topic could not be looked at yet');
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

/** It goes on while the process is stopped. */
function monotonicMs(): number {
  return performance.now();
}
