import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@billhook/runtime';
import type { KafkaMessage } from 'kafkajs';
import { startConsumerSession } from './consumer-session.ts';
import type { ConsumerSession } from './consumer-session.ts';
import { createEndsReader } from './ends-reader.ts';
import type { PartitionEnds } from './topic.ts';
import { Turns } from './turns.ts';

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
  /** The consumer begins, or begins again: the topic may be another one than before. */
  onJoin(): void;
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

interface Place {
  next: number;
  /** The next offset that the partition will give, as it was seen last. */
  high: number;
  isWanted: boolean;
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
  const { log } = deps;
  const ends = createEndsReader(deps, options);
  const closing = new AbortController();
  const places = new Map<number, Place>();
  const turns = new Turns();
  let session: ConsumerSession | undefined;
  let isTroubled = false;

  function flow(): void {
    session?.flow((partition) => places.get(partition)?.isWanted === true && turns.isOn(partition));
  }

  function start(): ConsumerSession {
    return startConsumerSession(deps, options, {
      onJoin(partitions) {
        if (isTroubled) log.info({ topic: options.topic }, 'Kafka is read again');
        isTroubled = false;
        for (const partition of partitions) {
          const place = places.get(partition);
          if (place !== undefined) session?.seek(partition, place.next);
        }
        flow();
        handlers.onJoin();
      },
      onRecords(partition, records, high) {
        const place = places.get(partition);
        const last = records.at(-1);
        if (place?.isWanted !== true || last === undefined) return false;
        place.next = Number(last.offset) + 1;
        place.high = high;
        turns.waiting(partition, high - place.next);
        handlers.onRecords(partition, records, high);
        flow();
        return true;
      },
    });
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      session = start();
      const cause = await session.ended;
      await session.stop();
      if (closing.signal.aborted) return;
      if (!isTroubled) log.warn({ err: cause, topic: options.topic }, 'Kafka cannot be read');
      isTroubled = true;
      await sleep(RESTART_AFTER_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  const ticking = setInterval(() => {
    turns.tick(performance.now());
    flow();
  }, TURN_TICK_MS);
  const running = run();
  const watching = watch({
    everyMs: options.watchEveryMs ?? DEFAULT_WATCH_EVERY_MS,
    signal: closing.signal,
    readEnds: () => ends.read(),
    places: () =>
      [...places].filter(([partition, { isWanted }]) => isWanted && turns.isOn(partition)),
    onStuck: (partition) =>
      session?.end(new Error(`Partition ${partition} has more, and nothing of it comes.`)),
  });

  return {
    readFrom(partition, offset, behind) {
      places.set(partition, { next: offset, high: offset + behind, isWanted: true });
      turns.waiting(partition, behind);
      session?.seek(partition, offset);
      flow();
    },
    hold(partition) {
      const place = places.get(partition);
      if (place !== undefined) place.isWanted = false;
      turns.leave(partition);
      flow();
    },
    resume(partition) {
      const place = places.get(partition);
      if (place === undefined) return;
      place.isWanted = true;
      turns.waiting(partition, place.high - place.next);
      flow();
    },
    ends: () => ends.read(),
    async close() {
      closing.abort();
      clearInterval(ticking);
      ends.close();
      session?.end(new Error('The consumer is closed.'));
      await Promise.all([running, watching]);
    },
  };
}

/** Calls `onStuck` when a partition stood still for a whole round though there was more to read. */
async function watch(options: {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly readEnds: () => Promise<PartitionEnds[] | undefined>;
  readonly places: () => readonly (readonly [number, Place])[];
  readonly onStuck: (partition: number) => void;
}): Promise<void> {
  const { everyMs, signal, readEnds, places, onStuck } = options;
  /** By partition: where it stood though there was more. */
  let behind = new Map<number, number>();
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    const stuck = places().find(([partition, { next }]) => behind.get(partition) === next);
    if (stuck !== undefined && !signal.aborted) onStuck(stuck[0]);
    behind = new Map();
    if (places().length === 0 || signal.aborted) continue;
    const ends = await readEnds().catch(() => undefined);
    for (const [partition, { next }] of places()) {
      const high = ends?.[partition]?.high ?? 0;
      if (high > next) behind.set(partition, next);
    }
  }
}
