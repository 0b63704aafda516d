import { randomUUID } from 'node:crypto';
import { within, type Log } from '@billhook/runtime';
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { createKafkaClient, RETRY } from './client.ts';

/** A consumer of KafkaJS from its start to its end. */
export interface ConsumerSession {
  /** Resolves with the reason when it is over. */
  readonly ended: Promise<Error>;
  /** Ends it. */
  end(cause: Error): void;
  /** Frees what it has; takes no longer than about a second. */
  stop(): Promise<void>;
  /** Before the group is joined it does nothing; `onJoin` is the time for it. */
  seek(partition: number, offset: number | undefined): void;
  /** Lets the partitions through that are wanted, and no others. */
  flow(isWanted: (partition: number) => boolean): void;
}

export interface ConsumerSessionHandlers {
  /** It has these partitions now, and would begin each at its beginning. */
  onJoin(partitions: readonly number[]): void;
  /** @returns whether the records are taken; if not, they come again. */
  onRecords(partition: number, records: readonly KafkaMessage[], high: number): boolean;
}

/** Short: a stop waits for the fetch that is under way, and so does a partition that is let through. */
const MAX_WAIT_MS = 100;
/** More than a topic's `max.message.bytes`: of a larger batch nothing would ever come. */
const MAX_PARTITION_BYTES = 1_100_000;
/** Never the limit: it would leave out the last partitions. */
const MAX_BYTES = 268_435_456;
const SESSION_TIMEOUT_MS = 30_000;
const HEARTBEAT_EVERY_MS = 3_000;
const STOP_TIMEOUT_MS = 1_000;

/**
 * Starts a consumer in a group of its own, so that nothing ever rebalances. Nothing is committed to Kafka:
 * whoever reads keeps where it stands.
 */
export function startConsumerSession(
  deps: { readonly log: Log },
  options: {
    readonly brokers: readonly string[];
    readonly clientId: string;
    readonly topic: string;
  },
  handlers: ConsumerSessionHandlers,
): ConsumerSession {
  const { brokers, clientId, topic } = options;
  const abort = new AbortController();
  const kafka = createKafkaClient(deps, { brokers, clientId, signal: abort.signal });
  const consumer = createConsumer(kafka, clientId);
  const { promise: ended, resolve } = Promise.withResolvers<Error>();
  let assigned: readonly number[] = [];
  let paused = new Set<number>();
  let isOver = false;

  function end(cause: Error): void {
    isOver = true;
    assigned = [];
    resolve(cause);
  }

  function take(payload: EachBatchPayload): Promise<void> {
    const { partition, messages, highWatermark } = payload.batch;
    const isCurrent = !isOver && !payload.isStale() && !paused.has(partition);
    if (isCurrent && handlers.onRecords(partition, messages, Number(highWatermark))) {
      payload.resolveOffset(payload.batch.lastOffset());
    }
    return Promise.resolve();
  }

  consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
  consumer.on(consumer.events.STOP, () => {
    // It takes no orders any more. If it crashed, the reason is still to come.
    assigned = [];
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (isOver) return;
    assigned = payload.memberAssignment[topic] ?? [];
    paused = new Set(assigned);
    consumer.pause([{ topic, partitions: [...paused] }]);
    handlers.onJoin(assigned);
  });
  run(consumer, topic, take).catch(end);

  return {
    ended,
    end,
    async stop() {
      end(new Error('The consumer is stopped.'));
      await disconnect(consumer);
      abort.abort();
    },
    seek(partition, offset) {
      if (offset === undefined || !assigned.includes(partition)) return;
      consumer.seek({ topic, partition, offset: String(offset) });
    },
    flow(isWanted) {
      const toPause = assigned.filter((each) => !paused.has(each) && !isWanted(each));
      const toResume = assigned.filter((each) => paused.has(each) && isWanted(each));
      if (toPause.length > 0) consumer.pause([{ topic, partitions: toPause }]);
      if (toResume.length > 0) consumer.resume([{ topic, partitions: toResume }]);
      for (const partition of toPause) paused.add(partition);
      for (const partition of toResume) paused.delete(partition);
    },
  };
}

function createConsumer(kafka: Kafka, clientId: string): Consumer {
  return kafka.consumer({
    groupId: `${clientId}-${randomUUID()}`,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: MAX_WAIT_MS,
    maxBytesPerPartition: MAX_PARTITION_BYTES,
    maxBytes: MAX_BYTES,
    sessionTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_EVERY_MS,
    // One that crashed is replaced, whatever KafkaJS thinks of the reason.
    retry: { ...RETRY, restartOnFailure: () => Promise.resolve(false) },
  });
}

/** Leaves the group, if the broker answers soon. */
async function disconnect(consumer: Consumer): Promise<void> {
  const left = consumer.disconnect().catch(() => undefined);
  await within(left, STOP_TIMEOUT_MS, () => undefined);
}

async function run(
  consumer: Consumer,
  topic: string,
  eachBatch: (payload: EachBatchPayload) => Promise<void>,
): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch });
}
