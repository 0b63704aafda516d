import { setTimeout as sleep } from 'node:timers/promises';

import { checkSlice, type LaneSlice } from '@billhook/event-log';
import type { Log } from '@billhook/runtime';

import type { LogEvent } from '../engine/delivery.ts';
import type { Refill } from '../engine/effect.ts';
import type { MatchedEvent } from '../engine/matching.ts';
import type { Refilled } from '../engine/refilling.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import { createContentReader } from '../subscriptions/matched-event.ts';
import { subscribes } from '../subscriptions/subscribes.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { CLOCK_TOLERANCE_MS } from './clock-tolerance.ts';
import type { EventLookup } from './event-lookup.ts';
import { decode, toLaneRequest } from './event-reader.ts';
import { beginMatchingTurn } from './matching-turn.ts';

/** The pause after the log brought nothing, or could not be read. */
const PAUSE_MS = 250;

/** Reads the log again for endpoints that keep a cursor. */
export type Refiller = (refills: readonly Refill[], signal: AbortSignal) => Promise<Refilled[]>;

/**
 * Makes it. What is read is matched behind the barrier, like what is read for the first time.
 *
 * @returns a function that rejects only when the signal aborts. What could not be read has no events.
 */
export function createRefiller(deps: {
  readonly lookup: EventLookup;
  readonly barrier: RevisionBarrier;
  readonly view: SubscriptionView;
  readonly log: Log;
}): Refiller {
  const { lookup, barrier, view, log } = deps;
  const judging = { toleranceMs: CLOCK_TOLERANCE_MS, readContent: createContentReader() };
  let failures = 0;

  function check(refill: Refill, slice: LaneSlice | undefined): readonly LogEvent[] {
    if (slice === undefined) return [];
    const { lane, after, mark } = refill;
    const checked = checkSlice(mark && { position: after, id: mark.id }, slice, decode);
    if (checked.kind === 'halted') {
      const { reason, position, cause } = checked;
      fail({ lane, position, reason, err: cause }, 'the log cannot be read again from a cursor');
    }
    return checked.events;
  }

  /** The view may change from one turn of the event loop to the next. */
  function match({ endpointIds }: Refill, event: LogEvent): MatchedEvent {
    const endpoints: WatchedEndpoint[] = [];
    for (const endpointId of endpointIds) {
      const endpoint = view.endpoint(endpointId);
      if (endpoint?.tenant !== event.tenant) continue;
      if (subscribes(endpoint, event, judging)) endpoints.push(endpoint);
    }
    return { event, endpoints };
  }

  function fail(facts: Readonly<Record<string, unknown>>, message: string): void {
    failures += 1;
    if (failures === 1) log.error(facts, message);
  }

  async function read(refills: readonly Refill[], signal: AbortSignal): Promise<Refilled[]> {
    const slices = await lookup.read(refills.map(toLaneRequest), signal);
    await barrier.awaitCurrent(signal);
    const turn = beginMatchingTurn();
    const refilled: Refilled[] = [];
    for (const [index, refill] of refills.entries()) {
      const events: MatchedEvent[] = [];
      for (const event of check(refill, slices[index])) {
        if (turn.isOver()) await turn.next(signal);
        events.push(match(refill, event));
      }
      refilled.push({ refill, events });
    }
    return refilled;
  }

  return async (refills, signal) => {
    try {
      const refilled = await read(refills, signal);
      if (refilled.some(({ events }) => events.length > 0)) {
        failures = 0;
        return refilled;
      }
    } catch (error) {
      signal.throwIfAborted();
      fail({ err: error }, 'the log could not be read again from cursors');
    }
    await sleep(PAUSE_MS, undefined, { signal });
    return refills.map((refill) => ({ refill, events: [] }));
  };
}
