import type { EventLogReader } from '@billhook/event-log';
import type { BatchProducer, BatchProducerOptions, Kafka, TopicKeeper } from '@billhook/kafka';
import type { LaneLeases } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import { within, type Log } from '@billhook/runtime';
import { readAppendedPositions } from '../postgres/relay-cursors.ts';
import { createBatchSender } from './batch-sender.ts';
import { Carriers } from './carriers.ts';
import { createLaneChecker } from './check-lanes.ts';
import { createCursorKeeper } from './cursor-keeper.ts';
import { createLedLane, type LedLane } from './led-lane.ts';
import { createTopicWatch, type TopicState } from './topic-watch.ts';

/** How the relay stands, for health and metrics. */
export interface RelayState {
  readonly topic: TopicState;
  /** The lanes that this process relays. */
  readonly lanes: readonly Pick<LedLane, 'lane' | 'cursor' | 'haltReason' | 'lacksBeginning'>[];
}

/** Sends what is appended to Kafka, lane by lane. */
export interface Relay {
  /** Something was appended by this process. */
  wake(): void;
  state(): RelayState;
  /**
   * Events of the lanes that it relays which are in the store and not in Kafka yet; NaN while it is not
   * known of a lane what Kafka has.
   */
  readLag(): Promise<number>;
  /** Waits for the batches under way, at most so long, saves the cursors and gives the lanes up. */
  stop(timeoutMs: number): Promise<void>;
}

export interface RelayDependencies {
  readonly pool: Pool;
  readonly leases: LaneLeases;
  /** The store, as a log. */
  readonly store: EventLogReader;
  /** Makes what to send with. */
  readonly createProducer: (deadline: Pick<BatchProducerOptions, 'deadlineMs'>) => BatchProducer;
  /** To look at the topic with: it gives up soon, so that it can be said that no broker answers. */
  readonly looking: Kafka;
  readonly keeper: TopicKeeper;
  readonly log: Log;
  /** Must go on while the process is stopped, as `performance.now` does. */
  readonly monotonicMs: () => number;
}

const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Starts the relay. It leads the lanes of which it gets the lease (ARCHITECTURE.md, "The relay"): a cursor moves
 * on when all in-sync replicas have acknowledged what is before it. While Kafka is away, events stay
 * in the store and are sent later.
 */
export async function startRelay(
  deps: RelayDependencies,
  options: { readonly topic: string; readonly lanes: number },
): Promise<Relay> {
  const { leases, createProducer, looking, keeper, log } = deps;
  const { topic } = options;
  const led = new Map<number, LedLane>();
  const stopping = new AbortController();
  const carriers = new Carriers(createProducer);
  const cursors = createCursorKeeper(deps, drop);
  const watch = createTopicWatch(
    {
      kafka: looking,
      keeper,
      led,
      log,
      checker: createLaneChecker({ ...deps, kafka: looking, topic }),
      onChecked: () => sender.wake(),
    },
    options,
  );
  const sender = createBatchSender({
    ...deps,
    carriers,
    led,
    onSent: (lane) => cursors.save(lane),
    onDoubt: () => watch.look(),
  });

  function lead(lane: number, epoch: number): void {
    const taken = createLedLane(lane, epoch);
    led.set(lane, taken);
    void cursors.load(taken, stopping.signal).then(() => watch.look());
  }

  function drop(lane: number, epoch: number): void {
    const dropped = led.get(lane);
    if (dropped?.epoch !== epoch) return;
    led.delete(lane);
    carriers.cut(dropped);
    carriers.closeAlone(dropped);
  }

  /** Lanes that are being handed over: a stop and the leases may ask for the same. */
  const leaving = new Map<LedLane, Promise<void>>();

  function handOver(lane: number, epoch: number): Promise<void> {
    for (const [left, handedOver] of leaving) {
      if (left.lane === lane && left.epoch === epoch) return handedOver;
    }
    const left = led.get(lane);
    if (left?.epoch !== epoch) {
      leases.release(lane, epoch);
      return Promise.resolve();
    }
    const handedOver = leave(left).finally(() => leaving.delete(left));
    leaving.set(left, handedOver);
    return handedOver;
  }

  /** What is under way is waited for, so that the next leader repeats nothing. */
  async function leave(left: LedLane): Promise<void> {
    led.delete(left.lane);
    await left.underWay;
    await cursors.saved(stopping.signal);
    leases.release(left.lane, left.epoch);
    carriers.closeAlone(left);
  }

  await leases.start({
    gained: lead,
    revoked: (lane, epoch) => void handOver(lane, epoch),
    lost: drop,
  });
  const running = Promise.all([sender.run(stopping.signal), watch.run(stopping.signal)]);
  return {
    wake: () => sender.wake(),
    state: () => ({ topic: watch.state(), lanes: [...led.values()] }),
    async readLag() {
      const appended = await readAppendedPositions(deps.pool, [...led.keys()]);
      return [...led.values()].reduce((lag, { lane, phase, cursor }) => {
        const isKnown = phase !== 'loading' && phase !== 'unchecked';
        const ofLane = isKnown ? (appended.get(lane) ?? 0) - cursor.position : Number.NaN;
        return lag + Math.max(0, ofLane);
      }, 0);
    },
    async stop(timeoutMs) {
      leases.leave();
      for (const { lane, epoch } of led.values()) void handOver(lane, epoch);
      await within(Promise.all(leaving.values()), timeoutMs, () => undefined);
      stopping.abort();
      carriers.close();
      await within(running, CLOSE_TIMEOUT_MS, () => undefined);
      await leases.stop();
    },
  };
}
