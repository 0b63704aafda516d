import { setTimeout as sleep } from 'node:timers/promises';
import { openTopicConsumer } from '@billhook/kafka';
import type { TopicConsumer } from '@billhook/kafka';
import type { Log } from '@billhook/runtime';
import { createAlarm } from '../alarm.ts';
import type { Alarm } from '../alarm.ts';
import type { EventLogReader } from '../event-log.ts';
import type { LaneBufferLimits } from './lane-buffer.ts';
import { Lane } from './lane.ts';

export interface KafkaEventLogOptions {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  /** How the brokers' logs name this reader. */
  readonly clientId: string;
  readonly topic: string;
  /** As many as the topic has partitions. */
  readonly lanes: number;
  /** What is read ahead of each lane, give or take one batch. */
  readonly limits?: LaneBufferLimits;
  /** How often to look whether the consumer brings what there is; 5 s by default. */
  readonly watchEveryMs?: number;
}

const DEFAULT_LIMITS: LaneBufferLimits = { maxBytes: 1024 * 1024, maxEvents: 2_000 };
const TICK_MS = 1_000;
const ASK_AGAIN_AFTER_MS = 250;

/**
 * Reads the topic that the relay fills: partition L holds lane L. It opens without a broker. While none
 * answers, lanes are `unknown` or nothing follows; it finds its place again by itself.
 *
 * It is for one who reads on. Another one that looks single events up needs a reader of its own.
 */
export function openKafkaEventLog(
  deps: { readonly log: Log },
  options: KafkaEventLogOptions,
): Promise<EventLogReader> {
  const { lanes: count, limits = DEFAULT_LIMITS } = options;
  const closing = new AbortController();
  const arrived = createAlarm();
  const lanes: Lane[] = [];
  const consumer = openTopicConsumer(deps, options, {
    onRecords(partition, records, high) {
      if (lanes[partition]?.take(records, high) === true) arrived.ring();
      endsAsker.look();
    },
    onReset() {
      for (const lane of lanes) lane.recheck();
      endsAsker.look();
    },
  });
  for (let lane = 0; lane < count; lane += 1) {
    const partition = {
      readFrom: (offset: number, behind: number) => consumer.readFrom(lane, offset, behind),
      hold: () => consumer.hold(lane),
      resume: () => consumer.resume(lane),
    };
    lanes.push(new Lane(lane, partition, limits));
  }
  const { signal: closed } = closing;
  const endsAsker = createEndsAsker({ ...deps, lanes, consumer, arrived, signal: closed });
  const ticking = setInterval(() => {
    const nowMs = performance.now();
    for (const lane of lanes) lane.tick(nowMs);
    endsAsker.look();
  }, TICK_MS);

  return Promise.resolve({
    async read(requests, signal) {
      if (closed.aborted) throw new Error('The event log is closed.');
      signal.throwIfAborted();
      const nowMs = performance.now();
      const slices = requests.map((request) => {
        const lane = lanes[request.lane];
        if (lane === undefined) throw new Error(`There is no lane ${request.lane}.`);
        return lane.read(request, nowMs);
      });
      endsAsker.look();
      return Promise.resolve(slices);
    },
    async waitForMore(signal, timeoutMs) {
      if (!closed.aborted) await arrived.wait(signal, timeoutMs);
    },
    async close() {
      closing.abort();
      clearInterval(ticking);
      arrived.ring();
      await consumer.close();
      await endsAsker.idle();
    },
  });
}

/** Tells lanes where their partitions begin and end, when they ask. */
interface EndsAsker {
  /** Looks whether a lane asks. */
  look(): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

function createEndsAsker(deps: {
  readonly lanes: readonly Lane[];
  readonly consumer: TopicConsumer;
  readonly arrived: Alarm;
  readonly log: Log;
  readonly signal: AbortSignal;
}): EndsAsker {
  const { lanes, consumer, arrived, log, signal } = deps;
  let asking: Promise<void> | undefined;
  let isShort = false;

  async function ask(): Promise<void> {
    for (;;) {
      const questions = lanes.map((lane) => lane.question);
      if (signal.aborted || questions.every((question) => question === undefined)) return;
      const ends = await consumer.ends().catch(() => undefined);
      let isAnswered = ends !== undefined;
      for (const [index, lane] of lanes.entries()) {
        const question = questions[index];
        const answer = ends?.[index];
        if (question === undefined) continue;
        if (answer === undefined) isAnswered = false;
        else lane.endsKnown(answer, question);
      }
      if (ends !== undefined && ends.length < lanes.length && !isShort) {
        isShort = true;
        const counts = { partitions: ends.length, lanes: lanes.length };
        log.error(counts, 'the topic has fewer partitions than there are lanes');
      }
      if (ends !== undefined) arrived.ring();
      if (!isAnswered) await sleep(ASK_AGAIN_AFTER_MS, undefined, { signal }).catch(ignore);
    }
  }

  return {
    look() {
      asking ??= ask().finally(() => {
        asking = undefined;
      });
    },
    async idle() {
      await asking;
    },
  };
}

function ignore(): void {}
