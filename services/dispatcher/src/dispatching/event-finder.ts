import type { LaneSlice, LogRecord } from '@billhook/event-log';

import { LOOK_EVERY_MS, SEARCH_TIMEOUT_MS, type LateReader } from './late-reader.ts';

/** Where an event stands. */
export interface EventPlace {
  readonly lane: number;
  readonly position: number;
}

/** Finds single events. */
export interface EventFinder {
  /** Finds an event. It rejects when the event is not found in time, or the signal aborts. */
  find(at: EventPlace, signal: AbortSignal): Promise<LogRecord>;
  close(): Promise<void>;
}

/** Events that stand so near to each other are read together. */
const READ_TOGETHER = 100;

interface Wanted extends EventPlace {
  readonly signal: AbortSignal;
  readonly resolve: (record: LogRecord) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes the finder. What is wanted at the same time is found together, in each lane in the order of
 * positions: to go back, a log may have to search.
 */
export function createEventFinder(reader: LateReader): EventFinder {
  const closing = new AbortController();
  let waiting: Wanted[] = [];
  let working: Promise<void> | undefined;

  /** Takes the first ones of each lane that can be read together. */
  function takeRound(): Wanted[] {
    const ends = new Map<number, number>();
    const round: Wanted[] = [];
    const later: Wanted[] = [];
    waiting.sort((one, other) => one.position - other.position);
    for (const wanted of waiting) {
      const end = ends.get(wanted.lane) ?? wanted.position + READ_TOGETHER;
      ends.set(wanted.lane, end);
      (wanted.position < end ? round : later).push(wanted);
    }
    waiting = later;
    return round;
  }

  async function findRound(round: readonly Wanted[]): Promise<void> {
    const limit = AbortSignal.any([closing.signal, AbortSignal.timeout(SEARCH_TIMEOUT_MS)]);
    let missing = withoutAborted(round);
    try {
      const log = await reader.get();
      while (missing.length > 0 && !limit.aborted) {
        const slices = await log.read(toRequests(missing), limit);
        const left = withoutAborted(takeFound(missing, slices));
        if (left.length === missing.length) await log.waitForMore(limit, LOOK_EVERY_MS);
        missing = left;
      }
      for (const wanted of missing) wanted.reject(notFound(wanted));
    } catch (error) {
      for (const wanted of missing) wanted.reject(limit.aborted ? notFound(wanted) : error);
    }
  }

  async function work(): Promise<void> {
    while (waiting.length > 0) await findRound(takeRound());
    working = undefined;
  }

  return {
    find: (at, signal) =>
      new Promise((resolve, reject) => {
        waiting.push({ ...at, signal, resolve, reject });
        // Whoever asks in the same turn is heard together.
        working ??= Promise.resolve().then(work);
      }),
    async close() {
      closing.abort();
      await working;
      await reader.close();
    },
  };
}

function withoutAborted(wanted: readonly Wanted[]): Wanted[] {
  return wanted.filter(({ signal, reject }) => {
    if (signal.aborted) reject(signal.reason);
    return !signal.aborted;
  });
}

/** Asks each lane for the events from the first wanted one to the last. */
function toRequests(wanted: readonly Wanted[]) {
  return [...Map.groupBy(wanted, ({ lane }) => lane)].map(([lane, ofLane]) => {
    const positions = ofLane.map(({ position }) => position);
    const after = Math.min(...positions) - 1;
    return { lane, after, limit: Math.max(...positions) - after };
  });
}

/** Returns those that are still to be found. */
function takeFound(wanted: readonly Wanted[], slices: readonly LaneSlice[]): Wanted[] {
  const found = new Map(
    slices.map(({ lane, events }) => [
      lane,
      new Map(events.map((event) => [event.position, event])),
    ]),
  );
  return wanted.filter(({ lane, position, resolve }) => {
    const record = found.get(lane)?.get(position);
    if (record !== undefined) resolve(record);
    return record === undefined;
  });
}

function notFound({ lane, position }: EventPlace): Error {
  return new Error(`Lane ${lane} shows no event at ${position}.`);
}
