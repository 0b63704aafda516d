import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@billhook/runtime';
import type { KafkaMessage } from 'kafkajs';
import { startConsumerSession } from './consumer-session.ts';
import type { ConsumerSession } from './consumer-session.ts';
import { createEndsReader } from './ends-reader.ts';
import type { EndsReader } from './ends-reader.ts';
import { Places } from './places.ts';
import type { PartitionEnds } from './topic.ts';
import { watchPlaces } from './watch-places.ts';

export interface TopicConsumerOptions {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly topic: string;
  /** How often to look whether the consumer brings what there is; 5 s by default. */
  readonly watchEveryMs?: number;
}

/** Who takes the records over. Both must return at once. */
export interface TopicConsumerHandlers {
  /** Records of one partition in the order of their offsets, and the next offset it will give. */
  onRecords(partition: number, records: readonly KafkaMessage[], high: number): void;
  /**
   * The topic may be another one than before: the consumer begins, or begins again, or a partition is
   * shorter than it was.
   */
  onReset(): void;
}

/** Reads the partitions of a topic, each from where it is told to. */
export interface TopicConsumer {
  /** Goes on from an offset, with about so many records behind it. */
  readFrom(partition: number, offset: number, behind: number): void;
  /** Brings nothing more of a partition until `resume` or `readFrom`. */
  hold(partition: number): void;
  resume(partition: number): void;
  /** Where the partitions begin and end, asked now; undefined when the topic is missing. */
  ends(): Promise<PartitionEnds[] | undefined>;
  close(): Promise<void>;
}

const DEFAULT_WATCH_EVERY_MS = 5_000;
const RESTART_AFTER_MS = 500;
const TURN_TICK_MS = 250;

/**
 * Opens a consumer that survives whatever KafkaJS's own does not: one that crashed, or that stands still
 * although there is more to read, is replaced. It needs no broker to open.
 */
export function openTopicConsumer(
  deps: { readonly log: Log },
  options: TopicConsumerOptions,
  handlers: TopicConsumerHandlers,
): TopicConsumer {
  return new LastingConsumer(deps, options, handlers);
}

class LastingConsumer implements TopicConsumer {
  readonly #deps: { readonly log: Log };
  readonly #options: TopicConsumerOptions;
  readonly #handlers: TopicConsumerHandlers;
  readonly #places = new Places();
  readonly #ends: EndsReader;
  readonly #closing = new AbortController();
  readonly #ticking: NodeJS.Timeout;
  readonly #working: Promise<unknown>;
  #session: ConsumerSession | undefined;
  #joins = 0;
  #isJoined = false;
  #isTroubled = false;

  constructor(
    deps: { readonly log: Log },
    options: TopicConsumerOptions,
    handlers: TopicConsumerHandlers,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#handlers = handlers;
    this.#ends = createEndsReader(deps, options);
    this.#ticking = setInterval(() => {
      this.#places.tick(performance.now());
      this.#flow();
    }, TURN_TICK_MS);
    this.#working = Promise.all([this.#keepUp(), this.#watch()]);
  }

  readFrom(partition: number, offset: number, behind: number): void {
    this.#places.readFrom(partition, offset, behind);
    this.#session?.seek(partition, offset);
    this.#flow();
  }

  hold(partition: number): void {
    this.#places.hold(partition);
    this.#flow();
  }

  resume(partition: number): void {
    this.#places.resume(partition);
    this.#flow();
  }

  ends(): Promise<PartitionEnds[] | undefined> {
    return this.#ends.read();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#ticking);
    this.#ends.close();
    this.#session?.end(new Error('The consumer is closed.'));
    await this.#working;
  }

  /** Starts a session whenever the one before has ended. */
  async #keepUp(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const session = startConsumerSession(this.#deps, this.#options, {
        onJoin: (partitions) => this.#joined(partitions),
        onRecords: (partition, records, high) => this.#take(partition, records, high),
      });
      this.#session = session;
      const cause = await session.ended;
      this.#isJoined = false;
      if (!signal.aborted) this.#tellTrouble(cause);
      await session.stop();
      await sleep(RESTART_AFTER_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #tellTrouble(cause: Error): void {
    const { topic } = this.#options;
    if (!this.#isTroubled) this.#deps.log.warn({ err: cause, topic }, 'Kafka cannot be read');
    this.#isTroubled = true;
  }

  #joined(partitions: readonly number[]): void {
    const { topic } = this.#options;
    if (this.#isTroubled) this.#deps.log.info({ topic }, 'Kafka is read again');
    this.#isTroubled = false;
    this.#isJoined = true;
    this.#joins += 1;
    for (const each of partitions) this.#session?.seek(each, this.#places.next(each));
    this.#flow();
    this.#handlers.onReset();
  }

  #take(partition: number, records: readonly KafkaMessage[], high: number): boolean {
    const last = records.at(-1);
    if (!this.#places.isOn(partition) || last === undefined) return false;
    this.#places.taken(partition, Number(last.offset) + 1, high);
    this.#handlers.onRecords(partition, records, high);
    this.#flow();
    return true;
  }

  #flow(): void {
    this.#session?.flow((partition) => this.#places.isOn(partition));
  }

  #watch(): Promise<void> {
    return watchPlaces(
      {
        places: this.#places,
        ends: this.#ends,
        everyMs: this.#options.watchEveryMs ?? DEFAULT_WATCH_EVERY_MS,
        signal: this.#closing.signal,
        joins: () => (this.#isJoined ? this.#joins : undefined),
      },
      {
        onStuck: (partition) =>
          this.#session?.end(
            new Error(`Partition ${partition} has more, and nothing of it comes.`),
          ),
        onShorter: () => this.#handlers.onReset(),
      },
    );
  }
}
