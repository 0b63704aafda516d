import type { LogEvent } from '../engine/delivery.ts';
import type { ReadRequest } from '../engine/effect.ts';
import type { LaneStanding } from '../engine/engine.ts';
import type { MatchedEvent } from '../engine/matching.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { CLOCK_TOLERANCE_MS } from './clock-tolerance.ts';
import type { EngineLoop } from './engine-loop.ts';
import { beginMatchingTurn, type MatchingTurn } from './matching-turn.ts';

/** Events of one lane that the view may be asked about: the barrier is behind. */
export interface DecodedSlice {
  readonly request: ReadRequest;
  readonly events: readonly LogEvent[];
}

/** Matches slices, and gives the engine their events. It rejects only when the signal aborts. */
export type SliceMatcher = (slices: readonly DecodedSlice[], signal: AbortSignal) => Promise<void>;

interface SliceMatching extends DecodedSlice {
  /** How many of its events are matched, or need not be. */
  done: number;
  /** What is matched and not yet handed over. */
  matched: MatchedEvent[];
}

/**
 * An event whose matching takes several turns is matched anew when the view changes meanwhile, and at last
 * in one turn: else a view that changes all the time would hold up the lane for ever.
 */
const MAX_RESTARTS = 3;

/**
 * Makes the matcher. What a turn of the event loop has matched is handed over in that turn, so that the
 * engine and the view never disagree: usually all of it, else a beginning of each slice. An event with so
 * many filters that it takes several turns is handed over in the last one, as the view is then.
 */
export function createSliceMatcher(deps: {
  readonly view: SubscriptionView;
  readonly loop: EngineLoop;
}): SliceMatcher {
  const { view, loop } = deps;

  /** Matches all of it. Whenever the turn is used up, it yields, to go on in another one. */
  function* matchAll(slices: readonly SliceMatching[], turn: MatchingTurn): Generator<undefined> {
    for (const slice of alternate(slices)) {
      const event = slice.events[slice.done];
      if (event === undefined) continue;
      const endpoints = view.match(event, CLOCK_TOLERANCE_MS);
      // Without filters, which is usual, at once.
      if ('next' in endpoints) yield* matchInParts(slice, event, turn);
      else noteMatched(slice, { event, endpoints });
      if (turn.isOver()) yield undefined;
    }
  }

  function* matchInParts(
    slice: SliceMatching,
    event: LogEvent,
    turn: MatchingTurn,
  ): Generator<undefined> {
    for (let restarts = 0; isLeft(slice); restarts += 1) {
      const endpoints = yield* matchOnce(event, restarts < MAX_RESTARTS ? turn : undefined);
      // It may be waited for no more by now.
      if (endpoints !== undefined && isLeft(slice)) return noteMatched(slice, { event, endpoints });
    }
  }

  /** Returns nothing when the view changed meanwhile. Without a turn it is done at once. */
  function* matchOnce(
    event: LogEvent,
    turn: MatchingTurn | undefined,
  ): Generator<undefined, readonly WatchedEndpoint[] | undefined> {
    const changeCount = view.changeCount();
    const parts = view.match(event, CLOCK_TOLERANCE_MS);
    if (!('next' in parts)) return parts;
    for (let part = parts.next(); ; part = parts.next()) {
      if (part.done === true) return part.value;
      if (turn?.isOver() !== true) continue;
      yield undefined;
      if (view.changeCount() !== changeCount) return undefined;
    }
  }

  function handOver(slices: readonly SliceMatching[]): void {
    const handed = slices.map(({ request, matched }) => ({ ...request, events: matched }));
    loop.input((engine, now) => engine.eventsRead(handed, now));
    for (const slice of slices) slice.matched = [];
    const left = slices.filter(isLeft);
    if (left.length === 0) return;
    const standings = new Map(loop.engine.lanes().map((standing) => [standing.lane, standing]));
    for (const slice of left) {
      if (!isWaitedFor(slice, standings.get(slice.request.lane))) slice.done = slice.events.length;
    }
  }

  return async (slices, signal) => {
    const matching = slices.map((slice): SliceMatching => ({ ...slice, done: 0, matched: [] }));
    const turn = beginMatchingTurn();
    for (const _ of matchAll(matching, turn)) {
      handOver(matching);
      await turn.next(signal);
    }
    handOver(matching);
  };
}

/** Gives those of which something is left, each in turn, so that no lane waits for all of another. */
function* alternate(slices: readonly SliceMatching[]): Generator<SliceMatching> {
  for (let left = slices; left.length > 0; left = left.filter(isLeft)) {
    for (const slice of left) if (isLeft(slice)) yield slice;
  }
}

function noteMatched(slice: SliceMatching, matched: MatchedEvent): void {
  slice.matched.push(matched);
  slice.done += 1;
}

function isLeft({ events, done }: SliceMatching): boolean {
  return done < events.length;
}

/** Whether the engine still has the lane, and has taken in all of it that was matched. */
function isWaitedFor(
  { request, events, done }: SliceMatching,
  standing: LaneStanding | undefined,
): boolean {
  return standing?.epoch === request.epoch && standing.readPosition + 1 === events[done]?.position;
}
