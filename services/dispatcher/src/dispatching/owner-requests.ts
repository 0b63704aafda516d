import { setTimeout as sleep } from 'node:timers/promises';

import type { EventLogReader } from '@billhook/event-log';
import type { LaneLeases, OwnedLane } from '@billhook/lane-leases';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { OwnerRequest } from '../engine/effect.ts';
import type { Recording } from '../engine/recording.ts';
import { readRequests, type StoredRequest } from '../postgres/requests.ts';
import type { EngineLoop } from './engine-loop.ts';
import { decode } from './event-reader.ts';

const READ_EVERY_MS = 500;

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
  readonly eventLog: EventLogReader;
  readonly leases: LaneLeases;
  readonly loop: EngineLoop;
  readonly log: Log;
}): OwnerRequests {
  const { pool, eventLog, leases, loop, log } = deps;
  /** Requests that the engine has, with the epoch under which it got them. */
  const known = new Map<string, OwnedLane>();

  async function prepare(request: StoredRequest, signal: AbortSignal): Promise<OwnerRequest> {
    const { reviveAttempt, ...rest } = request;
    if (reviveAttempt === undefined) return { ...rest, revive: undefined };
    const { lane, position } = request;
    const [slice] = await eventLog.read([{ lane, after: position - 1, limit: 1 }], signal);
    const record = slice?.events[0];
    if (record === undefined) throw new Error(`Lane ${lane} has no event at ${position}.`);
    return { ...rest, revive: { event: decode(record), attempt: reviveAttempt } };
  }

  async function step(signal: AbortSignal): Promise<void> {
    const owned = new Set(loop.engine.lanes().map(({ lane }) => lane));
    const held = new Map([...leases.held()].filter(([lane]) => owned.has(lane)));
    for (const [requestId, { lane, epoch }] of known) {
      if (held.get(lane) !== epoch) known.delete(requestId);
    }
    if (held.size === 0) return;
    const requests = await readRequests(pool, [...held.keys()], [...known.keys()]);
    if (requests.length === 0) return;
    const settled = await Promise.allSettled(requests.map((request) => prepare(request, signal)));
    const prepared = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    for (const { requestId, lane } of prepared) {
      known.set(requestId, { lane, epoch: held.get(lane) ?? 0 });
    }
    loop.input((engine, now) => engine.requested(prepared, now));
    // One whose event cannot be read is tried again, and must not keep the others waiting.
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
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
