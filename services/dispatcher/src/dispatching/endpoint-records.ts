import { setTimeout as sleep } from 'node:timers/promises';

import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { EndpointStanding } from '../engine/standings.ts';
import { deleteStaleStandings, deleteStandings, noteStandings } from '../postgres/standings.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import { now, type EngineLoop } from './engine-loop.ts';

const LOOK_EVERY_MS = 1_000;
const FLUSH_HEALTH_EVERY_MS = 60_000;
/** What has not changed is noted again, so that others see that this process lives. */
const NOTE_AGAIN_AFTER_MS = 30_000;
/** What is under way or queued changes all the time: it is noted at most this often. */
const NOTE_COUNTS_AFTER_MS = 3_000;
/** A limit or a count that has changed less than by this factor is not noted. */
const NOTABLE = 1.5;
/** Standings that are noted in one round; the next one goes on with those behind them. */
export const NOTE_AT_MOST = 1_000;

/**
 * Writes down now and then how endpoints stand in this process, and how they did, so that any
 * dispatcher can show it. It runs until the signal aborts, and then writes down what it knows of how they
 * did, and takes its own standings away.
 */
export async function keepEndpointRecords(
  deps: {
    readonly pool: Pool;
    readonly loop: EngineLoop;
    readonly health: EndpointHealth;
    readonly dispatcherId: string;
    readonly log: Log;
  },
  signal: AbortSignal,
): Promise<void> {
  const { pool, loop, health, dispatcherId, log } = deps;
  const written = new Map<string, EndpointStanding & { readonly atMs: number }>();
  /** The endpoint with which the last round ended. */
  let lastNotedId = '';
  let flushAtMs = now().monotonicMs + FLUSH_HEALTH_EVERY_MS;

  /** Chooses what is to be noted, from where the last round ended and then from the beginning. */
  function chooseNotable(monotonicMs: number): EndpointStanding[] {
    const fromBeginning: EndpointStanding[] = [];
    const fromLast: EndpointStanding[] = [];
    let notable = fromBeginning;
    const unseen = new Set(written.keys());
    for (const standing of loop.engine.standings(now())) {
      const { endpointId } = standing;
      unseen.delete(endpointId);
      const isNoted = isNotable(standing, written.get(endpointId), monotonicMs);
      if (isNoted && notable.length < NOTE_AT_MOST) notable.push(standing);
      if (endpointId === lastNotedId) notable = fromLast;
    }
    for (const endpointId of unseen) written.delete(endpointId);
    return [...fromLast, ...fromBeginning].slice(0, NOTE_AT_MOST);
  }

  async function step(): Promise<void> {
    const { monotonicMs } = now();
    const notable = chooseNotable(monotonicMs);
    lastNotedId = notable.at(-1)?.endpointId ?? lastNotedId;
    if (notable.length > 0) await noteStandings(pool, dispatcherId, notable);
    for (const standing of notable) {
      if (isUsual(standing)) written.delete(standing.endpointId);
      else written.set(standing.endpointId, { ...standing, atMs: monotonicMs });
    }
    await health.writeRecovered();
    if (monotonicMs < flushAtMs) return;
    flushAtMs = monotonicMs + FLUSH_HEALTH_EVERY_MS;
    await health.flush(signal);
    await deleteStaleStandings(pool);
  }

  let failures = 0;
  while (!signal.aborted) {
    try {
      await step();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === 1 && !signal.aborted) {
        log.warn({ err: error }, 'how endpoints stand could not be written down');
      }
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  await Promise.allSettled([health.flush(signal), deleteStandings(pool, dispatcherId)]);
}

/** What has nothing under way and no fault, and does not lag, need not be known of. */
function isUsual({ circuit, queued, inFlight, laggingLanes }: EndpointStanding): boolean {
  return circuit === 'closed' && queued + inFlight + laggingLanes === 0;
}

function isNotable(
  standing: EndpointStanding,
  before: (EndpointStanding & { readonly atMs: number }) | undefined,
  nowMs: number,
): boolean {
  if (before === undefined) return !isUsual(standing);
  if (nowMs - before.atMs >= NOTE_AGAIN_AFTER_MS || standing.circuit !== before.circuit)
    return true;
  if (lagOf(standing) !== lagOf(before)) return true;
  if (standing.circuit === 'open' && before.probeAtMs !== standing.probeAtMs) {
    return Math.abs((standing.probeAtMs ?? 0) - (before.probeAtMs ?? 0)) > LOOK_EVERY_MS;
  }
  if (isFarFrom(standing.concurrencyLimit, before.concurrencyLimit)) return true;
  if (nowMs - before.atMs < NOTE_COUNTS_AFTER_MS) return false;
  return isFarFrom(standing.queued, before.queued) || isFarFrom(standing.inFlight, before.inFlight);
}

/** Nothing is far from something. */
function isFarFrom(value: number, before: number): boolean {
  const less = Math.min(value, before);
  const more = Math.max(value, before);
  return more > less && more >= less * NOTABLE;
}

/** Says how far an endpoint lags: not at all, with rows, or with a cursor. */
function lagOf({ laggingLanes, cursorLanes }: EndpointStanding): 'no' | 'rows' | 'cursor' {
  if (cursorLanes > 0) return 'cursor';
  return laggingLanes > 0 ? 'rows' : 'no';
}
