import { within, type Log } from '@billhook/runtime';
import kafkajs from 'kafkajs';
import type { Message, Producer, RecordMetadata } from 'kafkajs';
import { createKafkaClient, RETRY } from './client.ts';

/** Writes to partitions of one topic, one request after the other. */
export interface BatchProducer {
  /**
   * Sends a batch to each partition that is named, together, and waits until all in-sync replicas
   * have all of them. While no broker answers it goes on trying, until its deadline if it has one.
   * After any error it is not known which batches were stored; those under way may still be.
   *
   * @returns the offset of the first message of each batch, by partition.
   */
  send(batches: ReadonlyMap<number, readonly Message[]>): Promise<ReadonlyMap<number, number>>;
  /** Breaks the connections. A send under way rejects. */
  close(): void;
}

export interface BatchProducerOptions {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  /** How the brokers' logs name this producer. */
  readonly clientId: string;
  readonly topic: string;
  /** The longest that one send takes; without end by default. */
  readonly deadlineMs?: number;
}

/** A producer of KafkaJS with what ends everything that it does. */
interface Connected {
  readonly producer: Promise<Producer>;
  readonly abort: AbortController;
}

const ALL_IN_SYNC_REPLICAS = -1;
const ACKNOWLEDGE_TIMEOUT_MS = 10_000;

/**
 * Makes a producer, within what is known of KafkaJS 2.2.4 (docs/decisions, "KafkaJS"): with more than
 * one request in flight it may report what was never stored; after an error the same producer may
 * take one batch for another, so that each error is followed by a new one; and what it sends to
 * several brokers may be answered for some partitions only.
 */
export function createBatchProducer(
  deps: { readonly log: Log },
  options: BatchProducerOptions,
): BatchProducer {
  const { topic, deadlineMs } = options;
  let connected: Connected | undefined;
  let isSending = false;

  function connect(): Connected {
    const abort = new AbortController();
    const kafka = createKafkaClient(deps, { ...options, signal: abort.signal });
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // The partition is given with each message: the partitioner only silences a warning.
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
      retry: { ...RETRY },
    });
    return { producer: producer.connect().then(() => producer), abort };
  }

  function close(): void {
    connected?.abort.abort();
    connected = undefined;
  }

  async function sendBy(
    { producer }: Connected,
    batches: ReadonlyMap<number, readonly Message[]>,
  ): Promise<ReadonlyMap<number, number>> {
    const results = await (
      await producer
    ).send({
      topic,
      acks: ALL_IN_SYNC_REPLICAS,
      timeout: ACKNOWLEDGE_TIMEOUT_MS,
      messages: [...batches].flatMap(([partition, messages]) =>
        messages.map((message) => ({ ...message, partition })),
      ),
    });
    return offsetsOf(results, { topic, partitions: [...batches.keys()] });
  }

  return {
    async send(batches) {
      if (isSending) throw new Error('One request at a time: the last send has not ended.');
      isSending = true;
      try {
        connected ??= connect();
        const sent = sendBy(connected, batches);
        if (deadlineMs === undefined) return await sent;
        return await within(sent, deadlineMs, () => {
          throw new Error(`Kafka did not acknowledge within ${deadlineMs} ms.`);
        });
      } catch (error) {
        close();
        throw error;
      } finally {
        isSending = false;
      }
    },
    close,
  };
}

/**
 * A partition that is not there, or whose leader changed meanwhile, may be left out of a send that
 * resolves.
 */
function offsetsOf(
  results: readonly RecordMetadata[],
  { topic, partitions }: { readonly topic: string; readonly partitions: readonly number[] },
): Map<number, number> {
  const offsets = new Map<number, number>();
  for (const partition of partitions) {
    const [result, another] = results.filter((each) => each.partition === partition);
    const offset = Number(result?.baseOffset);
    const isOffset = Number.isSafeInteger(offset) && offset >= 0;
    if (result?.errorCode !== 0 || another !== undefined || !isOffset) {
      throw new Error(`Kafka acknowledged nothing in partition ${partition} of ${topic}.`);
    }
    offsets.set(partition, offset);
  }
  return offsets;
}
