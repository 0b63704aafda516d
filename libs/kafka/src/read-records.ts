import { randomUUID } from 'node:crypto';
import type { Consumer, Kafka, KafkaMessage } from 'kafkajs';
import { RETRY } from './client.ts';

/** One record of each partition, at the offset that is named. */
export interface RecordsRequest {
  readonly topic: string;
  /** Offsets by partition; each must be one that the partition holds. */
  readonly offsets: ReadonlyMap<number, number>;
  readonly timeoutMs: number;
}

const MAX_WAIT_MS = 100;

/**
 * Reads single records, by a consumer of its own that lives no longer than this call. It costs a
 * group's joining, some 100 ms: it is for exceptional cases.
 *
 * @returns what was found, by partition. A record may be missing when the topic changes meanwhile, or
 *   the time is over.
 */
export async function readRecords(
  kafka: Kafka,
  request: RecordsRequest,
): Promise<Map<number, KafkaMessage>> {
  const { topic, offsets, timeoutMs } = request;
  const found = new Map<number, KafkaMessage>();
  if (offsets.size === 0) return found;
  const consumer = kafka.consumer({
    groupId: `billhook-look-${randomUUID()}`,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: MAX_WAIT_MS,
    retry: { ...RETRY },
  });
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    seekAll(consumer, request, payload.memberAssignment[topic] ?? []);
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: ({ batch }) => {
        const { partition } = batch;
        const wanted = offsets.get(partition) ?? Infinity;
        const message = batch.messages.find(({ offset }) => Number(offset) >= wanted);
        if (message !== undefined) {
          found.set(partition, message);
          consumer.pause([{ topic, partitions: [partition] }]);
        }
        if (found.size === offsets.size) resolve();
        return Promise.resolve();
      },
    });
    await complete;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
  return found;
}

/** Each partition is read from where it is wanted, the others not at all. */
function seekAll(
  consumer: Consumer,
  { topic, offsets }: RecordsRequest,
  assigned: readonly number[],
): void {
  const others = assigned.filter((partition) => !offsets.has(partition));
  consumer.pause([{ topic, partitions: others }]);
  for (const [partition, offset] of offsets) {
    consumer.seek({ topic, partition, offset: String(offset) });
  }
}
