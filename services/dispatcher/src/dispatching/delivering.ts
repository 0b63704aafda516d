import type { EventLogReader } from '@billhook/event-log';
import type { LaneLeases } from '@billhook/lane-leases';
import type { Monitoring } from '@billhook/metrics';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import { Engine, type EngineUsage } from '../engine/engine.ts';
import type { EngineLimits } from '../engine/limits.ts';
import { measureBarrier } from '../metrics/barrier-metrics.ts';
import { addRequestMetrics } from '../metrics/budget-metrics.ts';
import { createDeliveryMetrics } from '../metrics/delivery-metrics.ts';
import { addEngineMetrics } from '../metrics/engine-metrics.ts';
import { addReadinessChecks } from '../metrics/readiness.ts';
import { createRecorder } from '../postgres/recorder.ts';
import { createRevisionBarrier, type RevisionBarrier } from '../subscriptions/barrier.ts';
import type { SubscriptionClient } from '../subscriptions/grpc-source.ts';
import { createContentReader } from '../subscriptions/matched-event.ts';
import { subscribes } from '../subscriptions/subscribes.ts';
import type { SubscriptionView, ViewChanges } from '../subscriptions/view.ts';
import { startWatch, type SubscriptionSource } from '../subscriptions/watch.ts';
import { CLOCK_TOLERANCE_MS } from './clock-tolerance.ts';
import { createEffects } from './effects.ts';
import { createEndpointHealth } from './endpoint-health.ts';
import { keepEndpointRecords } from './endpoint-records.ts';
import { createEngineLoop, now, type EngineLoop } from './engine-loop.ts';
import type { EventLookup } from './event-lookup.ts';
import { createEventReader } from './event-reader.ts';
import { createLaneKeeper } from './lane-keeper.ts';
import { createLateAnswers, type LateAnswers } from './late-answers.ts';
import { createOwnerRequests } from './owner-requests.ts';
import { createRefiller } from './refiller.ts';
import type { WebhookSender } from './webhook-sender.ts';

/** How often the engine learns until when its leases are safe. */
const LEASE_CHECK_EVERY_MS = 250;
const DRAIN_CHECK_EVERY_MS = 20;

export interface DeliveringDependencies {
  readonly pool: Pool;
  readonly leases: LaneLeases;
  readonly eventLog: EventLogReader;
  readonly lookup: EventLookup;
  readonly view: SubscriptionView;
  readonly source: SubscriptionSource;
  readonly subscriptions: SubscriptionClient;
  readonly sender: WebhookSender;
  readonly log: Log;
  readonly monitoring: Monitoring;
}

export interface DeliveringOptions {
  readonly retryScheduleMs: readonly number[];
  readonly deliveryTimeoutMs: number;
  readonly retentionMs: number;
  readonly limits: EngineLimits;
  /** An endpoint that did nothing but fail for so long is disabled. */
  readonly failingForMs: number;
  /** A uuid, another one for each process. */
  readonly dispatcherId: string;
}

/** The engine at work on the lanes of this process. */
export interface Delivering {
  readonly barrier: RevisionBarrier;
  /** Something is asked of the owner of a lane. */
  wake(): void;
  /**
   * Begins nothing new, parks what was not sent and gives the lanes up, within a second. It waits for
   * the answers to what is in flight and leaves them to the new owners. What is not answered after
   * `timeoutMs` is theirs to send again.
   */
  stop(timeoutMs: number): Promise<void>;
}

/** Puts an engine to work: watches the endpoints, takes lanes, reads their events and delivers. */
export async function startDelivering(
  deps: DeliveringDependencies,
  options: DeliveringOptions,
): Promise<Delivering> {
  const { pool, leases, eventLog, lookup, view, source, subscriptions, sender, log } = deps;
  const { monitoring } = deps;
  const reading = new AbortController();
  const ended = new AbortController();
  const health = createEndpointHealth({ pool, view, subscriptions, log }, options);
  const recorder = createRecorder({ pool, leases, log });
  const lateAnswers = createLateAnswers({ pool, log }, ended.signal);
  const loop: EngineLoop = createEngineLoop(
    createEngine(view, options),
    createEffects(
      {
        pool,
        recorder,
        leases,
        sender,
        lateAnswers,
        health,
        metrics: createDeliveryMetrics(monitoring),
        refiller: (refills, signal) => refiller(refills, signal),
        subscriptions,
        log,
        signal: ended.signal,
        awaitCurrentView: (signal) => barrier.awaitCurrent(signal),
        onRecorded: (recording) => requests.recorded(recording),
      },
      () => loop,
    ),
  );
  const watch = startWatch({ source, view, log }, (changes) => {
    health.changed(changes);
    loop.input((engine, at) => engine.endpointsChanged(idsOf(changes), at));
  });
  const barrier = measureBarrier(createRevisionBarrier({ source, watch, log }), monitoring);
  const refiller = createRefiller({ lookup, barrier, view, log });
  const reader = createEventReader({ eventLog, barrier, view, loop, log });
  const requests = createOwnerRequests({ pool, lookup, loop, log });
  const keeper = createLaneKeeper({ pool, leases, barrier, loop, log });
  const shown = { engine: loop.engine, view, leases, halted: () => reader.halted() };
  addEngineMetrics(monitoring, { ...shown, limits: options.limits });
  addRequestMetrics(monitoring, { requests, lateAnswers });
  addReadinessChecks(monitoring, shown);
  try {
    await leases.start(keeper.holder);
  } catch (error) {
    loop.stop();
    await watch.close();
    throw error;
  }
  const leaseTimer = setInterval(() => {
    loop.input((engine, at) => engine.leaseExtended(leases.safeUntilMs(), at));
  }, LEASE_CHECK_EVERY_MS);
  const { dispatcherId } = options;
  const running = Promise.all([
    reader.run(reading.signal),
    requests.run(reading.signal),
    keepEndpointRecords({ pool, loop, health, dispatcherId, log }, reading.signal),
  ]);

  return {
    barrier,
    wake: () => requests.wake(),
    async stop(timeoutMs) {
      // What they still bring is of lanes that take nothing in any more.
      reading.abort();
      keeper.stop();
      loop.input((engine, at) => engine.drain(at));
      leases.leave();
      await drained(() => isDone(loop.engine.usage(), lateAnswers), timeoutMs);
      ended.abort();
      clearInterval(leaseTimer);
      loop.stop();
      await leases.stop();
      await running;
      await watch.close();
    },
  };
}

function createEngine(view: SubscriptionView, options: DeliveringOptions): Engine {
  const judging = { toleranceMs: CLOCK_TOLERANCE_MS, readContent: createContentReader() };
  return new Engine({
    ...options,
    random: Math.random,
    revision: () => view.revision(),
    view: (endpointId) => view.endpoint(endpointId),
    matches({ endpointId }, event) {
      const endpoint = view.endpoint(endpointId);
      return endpoint !== undefined && subscribes(endpoint, event, judging);
    },
  });
}

function idsOf({ changed, removed }: ViewChanges): string[] {
  return [...changed, ...removed].map(({ endpointId }) => endpointId);
}

/** All lanes are given up, and all that was in flight is answered, in time or late. */
function isDone({ lanes, inFlight }: EngineUsage, lateAnswers: LateAnswers): boolean {
  return lanes === 0 && inFlight === 0 && lateAnswers.waiting() === 0;
}

async function drained(isDrained: () => boolean, timeoutMs: number): Promise<void> {
  const deadlineMs = now().monotonicMs + timeoutMs;
  while (!isDrained() && now().monotonicMs < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_CHECK_EVERY_MS));
  }
}
