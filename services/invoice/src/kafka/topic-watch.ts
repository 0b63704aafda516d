import { setTimeout as sleep } from 'node:timers/promises';
import {
  createAdmin,
  readEnds,
  readLeaders,
  type Admin,
  type Kafka,
  type TopicKeeper,
} from '@billhook/kafka';
import { ConfigurationError, type Log } from '@billhook/runtime';
import type { LaneChecker } from './check-lanes.ts';
import type { LedLane } from './led-lane.ts';
import { noteBeginning } from './lost-beginning.ts';

/** What is known of Kafka and the topic. */
export type TopicState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ready' }
  /** No broker answers, or the topic cannot carry the lanes: the reason is a sentence. */
  | { readonly kind: 'away'; readonly reason: string };

/** Looks at the topic now and then, and whenever a lane is to be checked. */
export interface TopicWatch {
  /** Looks soon. */
  look(): void;
  state(): TopicState;
  /** Looks until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** A topic that was deleted while nothing is to be sent is noticed this soon. */
const LOOK_EVERY_MS = 3_000;
const RETRY_AFTER_MS = 500;

/** A send that takes longer means that Kafka does not take what it should. */
const SEND_MAY_TAKE_MS = 5_000;

/** Makes the watch over the lanes that are led. */
export function createTopicWatch(
  deps: {
    readonly kafka: Kafka;
    readonly keeper: TopicKeeper;
    readonly checker: LaneChecker;
    readonly led: ReadonlyMap<number, LedLane>;
    readonly onChecked: () => void;
    readonly log: Log;
  },
  options: { readonly topic: string; readonly lanes: number },
): TopicWatch {
  const { kafka, keeper, checker, led, log } = deps;
  const { topic, lanes: partitions } = options;
  let state: TopicState = { kind: 'unknown' };
  let isPrepared = false;
  let wakeUp = new AbortController();

  async function look(admin: Admin, signal: AbortSignal): Promise<void> {
    if (!isPrepared) await keeper.prepare(admin, signal);
    isPrepared = true;
    const leaders = await readLeaders(admin, topic);
    for (const lane of led.values()) lane.leader = leaders[lane.lane];
    const seen = [...led.values()].filter(({ phase }) => phase !== 'loading');
    const cursors = new Map(seen.map((lane) => [lane, lane.cursor]));
    const ends = await readEnds(admin, topic);
    if (ends?.length !== partitions) {
      isPrepared = false;
      const found = ends === undefined ? 'is missing' : `has ${ends.length} partitions`;
      throw new Error(`the topic ${topic} ${found}`);
    }
    for (const [lane, cursor] of cursors) {
      const ofLane = ends[lane.lane];
      if (ofLane !== undefined) noteBeginning(lane, { ends: ofLane, cursor }, log);
    }
    const doubtful = seen.filter((lane) => {
      if (lane.phase === 'unchecked' || lane.phase === 'halted') return true;
      // What was sent meanwhile is not in these ends.
      const isStill = lane.phase === 'idle' && lane.cursor === cursors.get(lane);
      return isStill && (ends[lane.lane]?.high ?? 0) <= lane.cursor.offset;
    });
    for (const lane of doubtful) {
      if (lane.phase !== 'idle') continue;
      // Nothing is sent before it is known from where, and the topic may be another one.
      lane.phase = 'unchecked';
      isPrepared = false;
    }
    await checker.check(doubtful, ends, signal);
  }

  function note(next: TopicState, isConfiguration = false): void {
    const hasOtherReason =
      next.kind === 'away' && state.kind === 'away' && next.reason !== state.reason;
    const isNews = next.kind !== state.kind || (isConfiguration && hasOtherReason);
    state = next;
    if (!isNews) return;
    if (next.kind === 'away') {
      log.error(
        { topic, reason: next.reason },
        'events are not relayed; they are kept in the store',
      );
    } else {
      log.info({ topic }, 'events are relayed');
    }
  }

  function isStuck(): boolean {
    const now = performance.now();
    return [...led.values()].some(({ sendingSinceMs }) => now - sendingSinceMs > SEND_MAY_TAKE_MS);
  }

  async function lookOnce(signal: AbortSignal): Promise<void> {
    const admin = createAdmin(kafka);
    try {
      await admin.connect();
      while (!signal.aborted) {
        wakeUp = new AbortController();
        await look(admin, signal);
        note(
          isStuck()
            ? { kind: 'away', reason: 'Kafka takes long to acknowledge' }
            : { kind: 'ready' },
        );
        deps.onChecked();
        const cut = AbortSignal.any([signal, wakeUp.signal]);
        await sleep(LOOK_EVERY_MS, undefined, { signal: cut }).catch(() => undefined);
      }
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  return {
    look: () => wakeUp.abort(),
    state: () => state,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await lookOnce(signal);
        } catch (error) {
          if (signal.aborted) return;
          const reason = error instanceof Error ? error.message : String(error);
          note({ kind: 'away', reason }, error instanceof ConfigurationError);
          await sleep(RETRY_AFTER_MS, undefined, { signal }).catch(() => undefined);
        }
      }
    },
  };
}
