import kafkajs from 'kafkajs';
import type { Kafka, Message, Producer, RecordMetadata } from 'kafkajs';
import { RETRY } from './client.ts';

/** Writes to partitions of one topic, one request after the other. */
export interface BatchProducer {
  /**
   * Sends a batch to each partition that is named, together, and waits until all in-sync replicas have
   * all of them. While no broker answers it goes on trying. After any error it is not known which batches
   * were stored, nor whether another one of this producer would be: what follows is sent by a new one.
   *
   * @returns the offset of the first message of each batch, by partition.
   */
  send(batches: ReadonlyMap<number, readonly Message[]>): Promise<ReadonlyMap<number, number>>;
  /** Gives the connections up. A send under way rejects. */
  close(): Promise<void>;
}

export interface BatchProducerOptions {
  readonly topic: string;
  /** How often a request that a broker refused is repeated; without end by default. */
  readonly retries?: number;
}

const ALL_IN_SYNC_REPLICAS = -1;
const ACKNOWLEDGE_TIMEOUT_MS = 10_000;

/**
 * Makes a producer, within what is known of KafkaJS 2.2.4 (docs/decisions, "KafkaJS"): with more than one
 * request in flight it may report what was never stored; after an error the same producer may take one
 * batch for another; and what it sends to several brokers may be answered for some partitions only.
 */
export function createBatchProducer(kafka: Kafka, options: BatchProducerOptions): BatchProducer {
  const { topic, retries } = options;
  let connected: Promise<Producer> | undefined;
  let isSending = false;

  async function connect(): Promise<Producer> {
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // The partition is given with each message: the partitioner only silences a warning.
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { ...RETRY, ...(retries !== undefined && { retries }) },
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
    async send(batches) {
      if (isSending) throw new Error('One request at a time: the last send has not ended.');
      isSending = true;
      try {
        connected ??= connect();
        const producer = await connected;
        const results = await producer.send({
          topic,
          acks: ALL_IN_SYNC_REPLICAS,
          timeout: ACKNOWLEDGE_TIMEOUT_MS,
          messages: [...batches].flatMap(([partition, messages]) =>
            messages.map((message) => ({ ...message, partition })),
          ),
        });
        return offsetsOf(results, { topic, partitions: [...batches.keys()] });
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

/** A partition that is not there, or whose leader changed meanwhile, may be left out of a resolved send. */
function offsetsOf(
  results: readonly RecordMetadata[],
  { topic, partitions }: { readonly topic: string; readonly partitions: readonly number[] },
): Map<number, number> {
  const offsets = new Map<number, number>();
  for (const partition of partitions) {
    const [result, another] = results.filter((each) => each.partition === partition);
    const offset = Number(result?.baseOffset);
    const isAcknowledged =
      result?.errorCode === 0 &&
      another === undefined &&
      Number.isSafeInteger(offset) &&
      offset >= 0;
    if (!isAcknowledged) {
      throw new Error(`Kafka acknowledged nothing in partition ${partition} of ${topic}.`);
    }
    offsets.set(partition, offset);
  }
  return offsets;
}
