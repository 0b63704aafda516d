import { randomUUID } from 'node:crypto';
import { createAdmin, createKafkaClient, RETRY } from '@billhook/kafka';
import type { Kafka, KafkaMessage } from '@billhook/kafka';
import { createLog } from '@billhook/runtime';
import type { TopicPlace } from '../cluster/topic.ts';

const TIMEOUT_MS = 60_000;

/**
 * Reads the whole topic.
 *
 * @returns the events that it holds, as `tenant/invoice/version`.
 */
export async function readTopic({ brokers, topic }: TopicPlace): Promise<ReadonlySet<string>> {
  const log = createLog({ level: 'silent', service: 'chaos' });
  const kafka = createKafkaClient({ log }, { brokers, clientId: 'billhook-chaos' });
  const ends = await readEnds(kafka, topic);
  const found = new Set<string>();
  const consumer = kafka.consumer({
    groupId: `billhook-chaos-${randomUUID()}`,
    allowAutoTopicCreation: false,
    retry: { ...RETRY },
  });
  const { promise: complete, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('the topic took too long to read')), TIMEOUT_MS);
  const isRead = (partition: number, nextOffset: number) => {
    if (nextOffset >= (ends.get(partition) ?? 0)) ends.delete(partition);
    if (ends.size === 0) resolve();
  };
  try {
    if (ends.size === 0) return found;
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const message of batch.messages) found.add(nameOf(message));
        isRead(batch.partition, Number(batch.lastOffset()) + 1);
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

/** Where each partition that holds anything ends. */
async function readEnds(kafka: Kafka, topic: string): Promise<Map<number, number>> {
  const admin = createAdmin(kafka);
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(
      offsets
        .filter(({ high, low }) => Number(high) > Number(low))
        .map(({ partition, high }) => [partition, Number(high)]),
    );
  } finally {
    await admin.disconnect();
  }
}

function nameOf({ key, headers }: KafkaMessage): string {
  return `${key?.toString()}/${headers?.['billhook_version']?.toString()}`;
}
