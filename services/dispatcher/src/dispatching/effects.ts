import { setTimeout as sleep } from 'node:timers/promises';

import { call, RemoteError } from '@billhook/grpc';
import type { LaneLeases } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import { isNotSent, type AttemptOutcome, type Delivery } from '../engine/delivery.ts';
import type { Claim, Effect, Refill, RowSearch } from '../engine/effect.ts';
import type { Recording } from '../engine/recording.ts';
import type { DeliveryMetrics } from '../metrics/delivery-metrics.ts';
import { readAnsweredRows, readDueRows } from '../postgres/claim.ts';
import { deliveryIdOf } from '../postgres/ids.ts';
import type { Recorder } from '../postgres/recorder.ts';
import type { SubscriptionClient } from '../subscriptions/grpc-source.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import type { EngineLoop } from './engine-loop.ts';
import type { LateAnswers } from './late-answers.ts';
import type { Refiller } from './refiller.ts';
import type { WebhookSender } from './webhook-sender.ts';

const CLAIM_AGAIN_AFTER_MS = 200;
const REPORT_TIMEOUT_MS = 5_000;
const REPORT_AGAIN_AFTER_MS = 2_000;

export interface EffectDependencies {
  readonly pool: Pool;
  readonly recorder: Recorder;
  readonly leases: LaneLeases;
  readonly sender: WebhookSender;
  readonly lateAnswers: LateAnswers;
  readonly refiller: Refiller;
  readonly health: Pick<EndpointHealth, 'note'>;
  readonly metrics: DeliveryMetrics;
  readonly subscriptions: SubscriptionClient;
  readonly log: Log;
  /** Aborted when nothing further is to be tried. */
  readonly signal: AbortSignal;
  /** Waits until the view of the endpoints is current, or the signal aborts. */
  awaitCurrentView(signal: AbortSignal): Promise<unknown>;
  /** A recording was committed or refused. */
  onRecorded(recording: Recording): void;
}

/**
 * Makes the function that carries out what the engine wants, and gives it the answers. It knows no
 * rules: what cannot be done now is tried until it can, or until the signal aborts.
 *
 * @param loopOf gives the loop around the engine, which is made after this function.
 */
export function createEffects(
  deps: EffectDependencies,
  loopOf: () => EngineLoop,
): (effect: Effect) => void {
  const { pool, recorder, leases, sender, lateAnswers, subscriptions, log, signal } = deps;
  const { metrics } = deps;

  function send(delivery: Delivery): void {
    sender.send(delivery, (outcome) => {
      metrics.attempted(delivery, outcome);
      if (!isNotSent(outcome)) {
        deps.health.note(delivery.endpointLane.endpoint.id, outcome.kind === 'delivered');
      }
      if (outcome.kind !== 'delivered') logFailure(log, delivery, outcome);
      // At once: what is sent to the same receiver now goes over the connection that was just left,
      // before undici takes it for an idle one, which costs another two rounds of the event loop.
      loopOf().input((engine, now) => engine.answered({ delivery, outcome }, now));
    });
  }

  async function record(recording: Recording): Promise<void> {
    const beganAtMs = performance.now();
    const results = await recorder.write(recording, signal);
    metrics.recorded(recording, results, beganAtMs);
    deps.onRecorded(recording);
    loopOf().input((engine, now) => engine.recorded(recording, results, now));
  }

  async function claim(claims: readonly Claim[]): Promise<void> {
    const beganAtMs = performance.now();
    const results = await untilRead(() => readDueRows(pool, claims, Date.now()));
    metrics.claimed(results, beganAtMs);
    loopOf().input((engine, now) => engine.claimed(results, now));
  }

  async function find(searches: readonly RowSearch[]): Promise<void> {
    const rows = await untilRead(() => readAnsweredRows(pool, searches));
    loopOf().input((engine, now) => engine.found(rows, now));
  }

  async function refill(refills: readonly Refill[]): Promise<void> {
    const beganAtMs = performance.now();
    const results = await deps.refiller(refills, signal);
    metrics.refilled(results, beganAtMs);
    loopOf().input((engine, now) => engine.refilled(results, now));
  }

  async function untilRead<Rows>(read: () => Promise<Rows>): Promise<Rows> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await read();
      } catch (error) {
        if (failures === 1) log.warn({ err: error }, 'waiting deliveries could not be read');
        await sleep(CLAIM_AGAIN_AFTER_MS, undefined, { signal });
      }
    }
  }

  async function reportGone(report: Effect & { readonly kind: 'report_gone' }): Promise<void> {
    const { endpointId, tenant, revision } = report;
    log.warn({ endpoint: endpointId }, 'the endpoint answered 410: it is disabled');
    for (;;) {
      try {
        await call(
          subscriptions.disableEndpoint,
          {
            endpointId,
            reason: 'gone',
            revision: BigInt(revision),
            failingSinceTime: undefined,
          },
          { tenant, timeoutMs: REPORT_TIMEOUT_MS, signal },
        );
        // No change may come that says how it stands: it was enabled before this, or since then and
        // the watch began anew from a set in which it is active, as it was before.
        await deps.awaitCurrentView(signal);
        loopOf().input((engine, now) => engine.endpointsChanged([endpointId], now));
        return;
      } catch (error) {
        if (error instanceof RemoteError && error.code === 'NOT_FOUND') return;
        await sleep(REPORT_AGAIN_AFTER_MS, undefined, { signal });
      }
    }
  }

  return (effect) => {
    switch (effect.kind) {
      case 'send':
        return send(effect.delivery);
      case 'record':
        return unlessAborted(record(effect.recording));
      case 'claim':
        return unlessAborted(claim(effect.claims));
      case 'find':
        return unlessAborted(find(effect.searches));
      case 'refill':
        return unlessAborted(refill(effect.refills));
      case 'answered_late':
        metrics.answeredLate();
        return lateAnswers.leave(effect.answer);
      case 'report_gone':
        return unlessAborted(reportGone(effect));
      case 'release':
        return leases.release(effect.lane, effect.epoch);
      case 'lost':
        return leases.refused(effect.lane, effect.epoch);
    }
  };

  /** Only an abort ends these early; anything else is a bug, and nobody catches it. */
  function unlessAborted(work: Promise<void>): void {
    void work.catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** One line for each failed attempt, none for each success. */
function logFailure(log: Log, delivery: Delivery, outcome: AttemptOutcome): void {
  const { event, endpointLane, attempt } = delivery;
  const { kind, durationMs } = outcome;
  log.warn(
    {
      delivery: deliveryIdOf(event.id, endpointLane.endpoint.id),
      endpoint: endpointLane.endpoint.id,
      event: event.id,
      invoice: event.invoiceId,
      attempt,
      outcome: kind,
      status: 'status' in outcome ? outcome.status : undefined,
      detail: 'detail' in outcome ? outcome.detail : undefined,
      durationMs: Math.round(durationMs),
    },
    'a delivery failed',
  );
}
