import type { EventLogReader, LogRecord } from '@billhook/event-log';

/** Looks single events up, at any position, without disturbing who follows the lanes. */
export interface EventLookup {
  /** Finds an event. It rejects when the event is not found in time, or the signal aborts. */
  find(at: EventPlace, signal: AbortSignal): Promise<LogRecord>;
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
 * Makes the look-up. Events are looked up one after the other.
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

  return {
    find(at, signal) {
      const found = last.then(() => find(at, signal));
      last = found.catch(() => undefined);
      return found;
    },
    async close() {
      await last;
      await opened?.then((log) => log.close());
    },
  };
}
