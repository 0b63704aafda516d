import { setTimeout as sleep } from 'node:timers/promises';

import type { OwnedLane } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { OwnerRequest } from '../engine/effect.ts';
import type { Recording } from '../engine/recording.ts';
import { readAnswers } from '../postgres/late-answers.ts';
import { readRequests, type StoredRequest } from '../postgres/requests.ts';
import type { EngineLoop } from './engine-loop.ts';
import type { EventLookup } from './event-lookup.ts';
import { decode } from './event-reader.ts';
import { createFullPlaces, MAX_FULL_ENDPOINTS } from './full-places.ts';

const READ_EVERY_MS = 500;
/** The pause before an event is looked for again that was not found. */
const FIND_AGAIN_MS = { first: 1_000, longest: 60_000 };
/**
 * Answers in memory; with so many, none is read. With as many requests only those to retry rows are: they are
 * carried out without an event that would have to be found.
 */
export const MAX_KNOWN = 4_000;
/** Requests whose events are looked for or wait to be recorded; with so many, none is read. */
export const MAX_UNDER_WAY = 500;

/** Hands the engine what others ask of the owner of its lanes, and what former owners were answered. */
export interface OwnerRequests {
  /** Reads requests until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Something was asked: reads at once. */
  wake(): void;
  /** The requests of a recording are carried out. */
  recorded(recording: Recording): void;
  /** Says how many were read and are not carried out yet. */
  usage(): RequestUsage;
}

/** What is read, and not yet carried out or taken. */
export interface RequestUsage {
  readonly requests: number;
  /** Those among them that do not pause because their event was not found. */
  readonly requestsUnderWay: number;
  /** Endpoints in a lane whose dead deliveries are asked for, and have no room there yet. */
  readonly fullEndpoints: number;
  /** What former owners were answered. */
  readonly answers: number;
}

/** A request that the engine has, or will have once its event is found. */
interface KnownRequest extends OwnedLane {
  /** Its event was not found, and is looked for again later. */
  isPausing: boolean;
}

/** Makes the reader of requests. */
export function createOwnerRequests(deps: {
  readonly pool: Pool;
  readonly lookup: EventLookup;
  readonly loop: EngineLoop;
  readonly log: Log;
}): OwnerRequests {
  const { pool, lookup, loop, log } = deps;
  const known = new Map<string, KnownRequest>();
  const full = createFullPlaces(loop.engine);
  const knownAnswers = new Map<string, OwnedLane>();
  let woken = new AbortController();
  let failedLookups = 0;

  /** Revives a dead delivery: its event is read again, which may take a while. */
  async function revive(
    { requestId, lane, position, endpointId }: StoredRequest,
    attempt: number,
    signal: AbortSignal,
  ): Promise<void> {
    const owned = known.get(requestId);
    if (owned === undefined) return;
    for (let failures = 1; known.get(requestId) === owned && !signal.aborted; failures += 1) {
      try {
        const event = decode(await lookup.find({ lane, position }, signal));
        failedLookups = 0;
        if (known.get(requestId) !== owned) return;
        const revived = { requestId, lane, position, endpointId, revive: { event, attempt } };
        loop.input((engine, now) => engine.requested([revived], now));
        return;
      } catch (error) {
        failedLookups += 1;
        if (failedLookups === 1 && !signal.aborted) {
          log.warn({ err: error, lane, position }, 'a retry by hand waits: its event is not found');
        }
        const pauseMs = Math.min(FIND_AGAIN_MS.longest, FIND_AGAIN_MS.first * 2 ** (failures - 1));
        owned.isPausing = true;
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
        owned.isPausing = false;
      }
    }
  }

  /** Says whether others may stand behind those that it passed over because their place is full. */
  async function readOwnerRequests(
    owned: ReadonlyMap<number, number>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const lanes = [...owned.keys()];
    const left = MAX_UNDER_WAY - underWay();
    if (left <= 0) return false;
    const mayRevive = known.size < MAX_KNOWN && full.endpointCount() < MAX_FULL_ENDPOINTS;
    const requests = await readRequests(pool, lanes, {
      atMost: left,
      known: [...known.keys()],
      fullLanes: mayRevive ? full.lanes() : lanes,
      fullEndpoints: full.endpoints(),
    });
    const ready: OwnerRequest[] = [];
    let passedOver = 0;
    for (const { reviveAttempt, ...request } of requests) {
      const { requestId, lane } = request;
      if (reviveAttempt !== undefined && full.noteIfFull(request)) {
        passedOver += 1;
        continue;
      }
      known.set(requestId, { lane, epoch: owned.get(lane) ?? 0, isPausing: false });
      if (reviveAttempt === undefined) ready.push({ ...request, revive: undefined });
      else void revive({ ...request, reviveAttempt }, reviveAttempt, signal);
    }
    if (ready.length > 0) loop.input((engine, now) => engine.requested(ready, now));
    return requests.length === left && passedOver > 0;
  }

  async function readLateAnswers(owned: ReadonlyMap<number, number>): Promise<void> {
    const answers = await readAnswers(pool, [...owned.keys()], [...knownAnswers.keys()]);
    for (const { answerId, lane } of answers) {
      knownAnswers.set(answerId, { lane, epoch: owned.get(lane) ?? 0 });
    }
    if (answers.length > 0) loop.input((engine, now) => engine.answeredLate(answers, now));
  }

  /**
   * Says whether to read again at once: whoever stands behind many requests for full places is not to wait
   * for a pause after each reading of these. Each such reading finds one more of them, so it ends.
   */
  async function step(signal: AbortSignal): Promise<boolean> {
    const owned = new Map(loop.engine.lanes().map(({ lane, epoch }) => [lane, epoch]));
    forgetUnless(known, owned);
    forgetUnless(knownAnswers, owned);
    full.lookAgain();
    if (owned.size === 0) return false;
    // What is answered need not be sent again: it comes first.
    if (knownAnswers.size < MAX_KNOWN) await readLateAnswers(owned);
    return readOwnerRequests(owned, signal);
  }

  function underWay(): number {
    let count = 0;
    for (const { isPausing } of known.values()) if (!isPausing) count += 1;
    return count;
  }

  return {
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          const isMoreBehind = await step(signal);
          failures = 0;
          if (isMoreBehind) continue;
        } catch (error) {
          failures += 1;
          if (failures === 1 && !signal.aborted) {
            log.warn({ err: error }, 'requests could not be read');
          }
        }
        const either = AbortSignal.any([signal, woken.signal]);
        await sleep(READ_EVERY_MS, undefined, { signal: either }).catch(() => undefined);
        if (woken.signal.aborted) woken = new AbortController();
      }
    },
    wake: () => woken.abort(),
    usage: () => ({
      requests: known.size,
      requestsUnderWay: underWay(),
      fullEndpoints: full.endpointCount(),
      answers: knownAnswers.size,
    }),
    recorded(recording) {
      for (const { carriedOut, answersTaken } of recording.lanes) {
        for (const { requestId } of carriedOut) known.delete(requestId);
        for (const answerId of answersTaken) knownAnswers.delete(answerId);
      }
    },
  };
}

/** What was handed on under an epoch that is over is left to the next owner. */
function forgetUnless(known: Map<string, OwnedLane>, owned: ReadonlyMap<number, number>): void {
  for (const [id, { lane, epoch }] of known) {
    if (owned.get(lane) !== epoch) known.delete(id);
  }
}
