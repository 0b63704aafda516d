import type { EventLogReader, LaneRequest, LaneSlice, LogRecord } from '@billhook/event-log';

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

/** Where an event stands. */
export interface EventPlace {
  readonly lane: number;
  readonly position: number;
}

/** A log may have to search for its place first. */
const FIND_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 250;

/**
 * Makes the look-up. What is asked is done one after the other.
 *
 * @param open opens a reader that nobody else uses; it is called when it is first needed.
 */
export function createEventLookup(open: () => Promise<EventLogReader>): EventLookup {
  let opened: Promise<EventLogReader> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function reader(): Promise<EventLogReader> {
    opened ??= open();
    try {
      return await opened;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  }

  async function find({ lane, position }: EventPlace, signal: AbortSignal): Promise<LogRecord> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(FIND_TIMEOUT_MS)]);
    const log = await reader();
    const request = { lane, after: position - 1, limit: 1 };
    while (!limit.aborted) {
      const [slice] = await log.read([request], limit);
      const record = slice?.events.find((event) => event.position === position);
      if (record !== undefined) return record;
      await log.waitForMore(limit, LOOK_EVERY_MS);
    }
    signal.throwIfAborted();
    throw new Error(`Lane ${lane} shows no event at ${position}.`);
  }

  async function read(requests: readonly LaneRequest[], signal: AbortSignal) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(FIND_TIMEOUT_MS)]);
    const log = await reader();
    for (;;) {
      const slices = await log.read(requests, signal);
      // A lane that is broken says so: nothing more will come.
      const isThere = slices.every(({ events, broken }) => events.length > 0 || broken);
      if (isThere || limit.aborted) return slices;
      await log.waitForMore(limit, LOOK_EVERY_MS);
    }
  }

  /** One after the other: each may have to seek, which would lead the others astray. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  }

  return {
    find: (at, signal) => inTurn(() => find(at, signal)),
    read: (requests, signal) => inTurn(() => read(requests, signal)),
    async close() {
      await last;
      await opened?.then((log) => log.close());
    },
  };
}
