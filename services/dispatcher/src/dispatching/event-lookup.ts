import type { EventLogReader, LaneRequest, LaneSlice, LogRecord } from '@billhook/event-log';

import { createEventFinder, type EventPlace } from './event-finder.ts';
import { LOOK_EVERY_MS, openLate, SEARCH_TIMEOUT_MS } from './late-reader.ts';

/** Reads events at any position, without disturbing who follows the lanes. */
export interface EventLookup {
  /** Finds an event. It rejects when the event is not found in time, or the signal aborts. */
  find(at: EventPlace, signal: AbortSignal): Promise<LogRecord>;
  /**
   * Reads lanes in which something follows, as far as the log brings it in time.
   *
   * @returns a slice for each request, in their order.
   */
  read(requests: readonly LaneRequest[], signal: AbortSignal): Promise<LaneSlice[]>;
  close(): Promise<void>;
}

/**
 * Makes the look-up. Lanes are read, and events found, by a reader each, so that thousands of events
 * that somebody wants again hold up nobody who reads on.
 *
 * @param open opens a reader that nobody else uses; it is called when one is first needed.
 */
export function createEventLookup(open: () => Promise<EventLogReader>): EventLookup {
  const reader = openLate(open);
  const finder = createEventFinder(openLate(open));
  let last: Promise<unknown> = Promise.resolve();

  async function read(requests: readonly LaneRequest[], signal: AbortSignal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_TIMEOUT_MS)]);
    const log = await reader.get();
    for (;;) {
      const slices = await log.read(requests, signal);
      // A lane that is broken says so: nothing more will come.
      const isThere = slices.every(({ events, broken }) => events.length > 0 || broken);
      if (isThere || limit.aborted) return slices;
      await log.waitForMore(limit, LOOK_EVERY_MS);
    }
  }

  return {
    find: (at, signal) => finder.find(at, signal),
    /** One after the other: each may have to seek, which would lead the others astray. */
    read(requests, signal) {
      const result = last.then(() => read(requests, signal));
      last = result.catch(() => undefined);
      return result;
    },
    async close() {
      await finder.close();
      await last;
      await reader.close();
    },
  };
}
