import kafkajs from 'kafkajs';
import type { Kafka, Message, Producer, RecordMetadata } from 'kafkajs';
import { RETRY } from './client.ts';

/** Writes to one partition, one batch after the other. */
export interface PartitionProducer {
  /**
   * Sends a batch and waits until all in-sync replicas have it. While no broker answers it goes on
   * trying. After any error it is not known whether the batch was stored, nor whether another one
   * of this producer would be: what follows is sent by a new one.
   *
   * @returns the offset of the first message.
   */
  send(messages: Message[]): Promise<number>;
  /** Gives the connections up. A send under way rejects. */
  close(): Promise<void>;
}

const ALL_IN_SYNC_REPLICAS = -1;
const ACKNOWLEDGE_TIMEOUT_MS = 10_000;

/**
 * Makes a producer for one partition, within what is known of KafkaJS 2.2.4 (docs/decisions,
 * "KafkaJS"): with more than one request in flight, or more than one partition in a request, it may
 * report what was never stored; and after an error the same producer may take one batch for another.
 */
export function createPartitionProducer(
  kafka: Kafka,
  target: { readonly topic: string; readonly partition: number },
): PartitionProducer {
  const { topic, partition } = target;
  let connected: Promise<Producer> | undefined;
  let isSending = false;

  async function connect(): Promise<Producer> {
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // The partition is given with each message: the partitioner only silences a warning.
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { ...RETRY },
    });
    await producer.connect();
    return producer;
  }

  async function discard(): Promise<void> {
    const discarded = connected;
    connected = undefined;
    const producer = await discarded?.catch(() => undefined);
    await producer?.disconnect().catch(() => undefined);
  }

  return {
    async send(messages) {
      if (isSending) throw new Error('One batch at a time: the last send has not ended.');
      isSending = true;
      try {
        connected ??= connect();
        const producer = await connected;
        const results = await producer.send({
          topic,
          acks: ALL_IN_SYNC_REPLICAS,
          timeout: ACKNOWLEDGE_TIMEOUT_MS,
          messages: messages.map((message) => ({ ...message, partition })),
        });
        return baseOffsetOf(results, target);
      } catch (error) {
        void discard();
        throw error;
      } finally {
        isSending = false;
      }
    },
    close: discard,
  };
}

/** A send to a partition that is not there resolves as well, with nothing. */
function baseOffsetOf(
  results: readonly RecordMetadata[],
  { topic, partition }: { readonly topic: string; readonly partition: number },
): number {
  const [result] = results;
  const offset = Number(result?.baseOffset);
  const isAcknowledged =
    results.length === 1 &&
    result?.partition === partition &&
    result.errorCode === 0 &&
    Number.isSafeInteger(offset) &&
    offset >= 0;
  if (isAcknowledged) return offset;
  throw new Error(`Kafka acknowledged nothing in partition ${partition} of ${topic}.`);
}
