import { setTimeout as sleep } from 'node:timers/promises';

import type { LaneLeases, OwnedLane } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { OwnerRequest } from '../engine/effect.ts';
import type { Recording } from '../engine/recording.ts';
import { readRequests, type StoredRequest } from '../postgres/requests.ts';
import type { EngineLoop } from './engine-loop.ts';
import type { EventLookup } from './event-lookup.ts';
import { decode } from './event-reader.ts';

const READ_EVERY_MS = 500;
/** Requests in memory; beyond, none is read. */
const MAX_KNOWN = 2_000;

/** Hands the engine what others ask of the owner of its lanes. */
export interface OwnerRequests {
  /** Reads requests until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** The requests of a recording are carried out. */
  recorded(recording: Recording): void;
}

/** Makes the reader of requests. */
export function createOwnerRequests(deps: {
  readonly pool: Pool;
  readonly lookup: EventLookup;
  readonly leases: LaneLeases;
  readonly loop: EngineLoop;
  readonly log: Log;
}): OwnerRequests {
  const { pool, lookup, leases, loop, log } = deps;
  /** Requests that the engine has, with the epoch under which it got them. */
  const known = new Map<string, OwnedLane>();
  let failedLookups = 0;

  /** Revives a dead delivery: its event is read again, which may take a while. */
  async function revive(request: StoredRequest, attempt: number, signal: AbortSignal) {
    const { requestId, lane, position, endpointId } = request;
    try {
      const event = decode(await lookup.find(request, signal));
      failedLookups = 0;
      const revived = { requestId, lane, position, endpointId, revive: { event, attempt } };
      loop.input((engine, now) => engine.requested([revived], now));
    } catch (error) {
      // It is read again, behind the others.
      known.delete(requestId);
      failedLookups += 1;
      if (signal.aborted || failedLookups > 1) return;
      log.warn({ err: error, lane, position }, 'a retry by hand waits: its event is not found');
    }
  }

  async function step(signal: AbortSignal): Promise<void> {
    const owned = new Set(loop.engine.lanes().map(({ lane }) => lane));
    const held = new Map([...leases.held()].filter(([lane]) => owned.has(lane)));
    for (const [requestId, { lane, epoch }] of known) {
      if (held.get(lane) !== epoch) known.delete(requestId);
    }
    if (held.size === 0 || known.size >= MAX_KNOWN) return;
    const requests = await readRequests(pool, [...held.keys()], [...known.keys()]);
    const ready: OwnerRequest[] = [];
    for (const { reviveAttempt, ...request } of requests) {
      known.set(request.requestId, { lane: request.lane, epoch: held.get(request.lane) ?? 0 });
      if (reviveAttempt === undefined) ready.push({ ...request, revive: undefined });
      else void revive({ ...request, reviveAttempt }, reviveAttempt, signal);
    }
    if (ready.length > 0) loop.input((engine, now) => engine.requested(ready, now));
  }

  return {
    async run(signal) {
      let failures = 0;
      while (!signal.aborted) {
        try {
          await step(signal);
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 1 && !signal.aborted) {
            log.warn({ err: error }, 'requests could not be read');
          }
        }
        await sleep(READ_EVERY_MS, undefined, { signal }).catch(() => undefined);
      }
    },
    recorded(recording) {
      for (const { carriedOut } of recording.lanes) {
        for (const { requestId } of carriedOut) known.delete(requestId);
      }
    },
  };
}
