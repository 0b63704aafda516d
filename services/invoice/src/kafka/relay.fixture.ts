import { randomUUID } from 'node:crypto';
import { decodeRecord, openPostgresEventLog, type LogRecord } from '@billhook/event-log';
import { createEventStore, prepareEventStore, type Aggregate } from '@billhook/event-store';
import {
  createAdmin,
  createBatchProducer,
  createKafkaClient,
  createTopicKeeper,
  readEnds,
  type Kafka,
} from '@billhook/kafka';
import { createLaneLeases } from '@billhook/lane-leases';
import { createPool, type Pool } from '@billhook/postgres';
import { createLog, type Log } from '@billhook/runtime';
import { startPostgresProxy, uniqueName, type PostgresProxy } from '@billhook/testing';
import { migrateInvoices, SCHEMA } from '../postgres/migrations.ts';
import { MAX_MESSAGE_BYTES } from './led-lane.ts';
import { startRelay, type Relay, type RelayDependencies } from './relay.ts';

const LANES = 4;
const QUICK_LEASES = { leaseMs: 3_000, renewEveryMs: 200, marginMs: 500 };
const STOP_TIMEOUT_MS = 5_000;
const REQUEST_ID_RETENTION_MS = 60_000;

const monotonicMs = () => performance.now();

/** Appends of one note, the only thing that the streams of these tests take. */
interface Note {
  readonly tenant: string;
  readonly streamId: string;
  readonly data: Buffer;
}

/** An event store, as the invoice service has one, and what was appended to it. */
export interface TestStore {
  readonly pool: Pool;
  readonly lanes: number;
  /** Appends so many notes, spread over the lanes, each at least so large. */
  append(count: number, bytes?: number): Promise<void>;
  /** Everything in the store, by lane, oldest first. */
  appended(): Promise<Map<number, string[]>>;
  close(): Promise<void>;
}

/** Makes the store in an empty database. */
export async function createTestStore(connectionString: string): Promise<TestStore> {
  const log = createLog({ level: 'silent', service: 'test' });
  const pool = createPool({ connectionString, applicationName: 'test', maxConnections: 4, log });
  await migrateInvoices(pool);
  const options = { schema: SCHEMA, lanes: LANES, requestIdRetentionMs: REQUEST_ID_RETENTION_MS };
  const prepared = await prepareEventStore(pool, options);
  const store = createEventStore({ pool, log, aggregate: notes }, options);
  return {
    pool,
    lanes: LANES,
    async append(count, bytes = 0) {
      const commands = Array.from({ length: count }, (): Note => {
        const data = Buffer.from('note'.padEnd(bytes, '.'));
        return { tenant: 'default', streamId: randomUUID(), data };
      });
      await Promise.all(
        commands.map((command) => store.execute({ command, bytes: command.data.length })),
      );
    },
    async appended() {
      const { rows } = await pool.query<{ lane: number; id: string }>(
        `select lane, 'evt_' || replace(id::text, '-', '') as id from ${SCHEMA}.event
         order by lane, position`,
      );
      return idsByLane(rows);
    },
    async close() {
      await store.stop();
      await prepared.stop();
      await pool.end();
    },
  };
}

const notes: Aggregate<Note, undefined, string> = {
  load: () => Promise.resolve(undefined),
  version: () => 1,
  decide: (_working, { data }) => {
    return { kind: 'accepted', events: [{ type: 'note', data }], answer: '' };
  },
  save: () => [],
  encodeAnswer: () => Buffer.alloc(0),
  decodeAnswer: () => '',
};

function idsByLane(rows: Iterable<{ lane: number; id: string }>): Map<number, string[]> {
  const ids = new Map<number, string[]>();
  for (const { lane, id } of rows) ids.set(lane, [...(ids.get(lane) ?? []), id]);
  return ids;
}

/** A relay as one process runs it. */
export interface TestRelay extends Relay {
  readonly log: Log;
  /** Cuts it off from Postgres, as if it were frozen, until `mend`. */
  readonly postgres: PostgresProxy;
  end(): Promise<void>;
}

/** Starts a relay with connections of its own. */
export async function startTestRelay(
  connectionString: string,
  { brokers, topic }: { readonly brokers: readonly string[]; readonly topic: string },
): Promise<TestRelay> {
  const log = createLog({ level: 'silent', service: 'relay' });
  const postgres = await startPostgresProxy(connectionString);
  const through = postgres.connectionString;
  const open = (applicationName: string) =>
    createPool({ connectionString: through, applicationName, maxConnections: 3, log });
  const [pool, leasePool] = [open('relay'), open('relay-leases')];
  const store = await openPostgresEventLog(
    { pool, log },
    { schema: SCHEMA, connectionString: through },
  );
  const looking = createKafkaClient({ log }, { brokers, clientId: 'test-relay', retries: 2 });
  const leases = createLaneLeases(
    { pool: leasePool, log, monotonicMs },
    { schema: SCHEMA, lanes: LANES, ownerId: randomUUID(), ...QUICK_LEASES },
  );
  const options = { topic, partitions: LANES, maxMessageBytes: MAX_MESSAGE_BYTES };
  const keeper = createTopicKeeper({ log }, options);
  const client = { brokers, clientId: 'test-relay', topic };
  const createProducer: RelayDependencies['createProducer'] = (deadline) =>
    createBatchProducer({ log }, { ...client, ...deadline });
  const deps = { pool, leases, store, createProducer, looking, keeper, log, monotonicMs };
  const relay = await startRelay(deps, { topic, lanes: LANES });
  return {
    ...relay,
    log,
    postgres,
    async end() {
      await relay.stop(STOP_TIMEOUT_MS);
      await store.close();
      await pool.end();
      await leasePool.end();
      await postgres.close();
    },
  };
}

/** Everything in a topic, by partition, as it stands there. */
export async function readTopic(kafka: Kafka, topic: string): Promise<Map<number, LogRecord[]>> {
  const admin = createAdmin(kafka);
  await admin.connect();
  const ends = (await readEnds(admin, topic)) ?? [];
  await admin.disconnect();
  const found = new Map<number, LogRecord[]>(ends.map((_, lane) => [lane, []]));
  const wanted = ends.reduce((sum, { low, high }) => sum + high - low, 0);
  if (wanted === 0) return found;
  const consumer = kafka.consumer({ groupId: uniqueName('reads'), maxWaitTimeInMs: 50 });
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  let count = 0;
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: ({ batch: { partition, messages } }) => {
      const records = messages.map((message) => decodeRecord(message, partition));
      found.get(partition)?.push(...records);
      count += records.length;
      if (count >= wanted) resolve();
      return Promise.resolve();
    },
  });
  await complete;
  await consumer.disconnect();
  return found;
}

/** The ids of a topic by partition, each where it stands first. */
export function firstIds(records: ReadonlyMap<number, readonly LogRecord[]>) {
  const ids = new Map<number, string[]>();
  for (const [lane, ofLane] of records) {
    if (ofLane.length > 0) ids.set(lane, [...new Set(ofLane.map(({ id }) => id))]);
  }
  return ids;
}
