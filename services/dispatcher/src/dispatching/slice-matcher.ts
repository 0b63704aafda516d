import type { LogEvent } from '../engine/delivery.ts';
import type { ReadRequest } from '../engine/effect.ts';
import type { LaneStanding } from '../engine/engine.ts';
import type { MatchedEvent } from '../engine/matching.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import { CLOCK_TOLERANCE_MS } from './clock-tolerance.ts';
import type { EngineLoop } from './engine-loop.ts';
import { beginMatchingTurn } from './matching-turn.ts';

/** Events of one lane that the view may be asked about: the barrier is behind. */
export interface DecodedSlice {
  readonly request: ReadRequest;
  readonly events: readonly LogEvent[];
}

/** Matches slices, and gives the engine their events. It rejects only when the signal aborts. */
export type SliceMatcher = (slices: readonly DecodedSlice[], signal: AbortSignal) => Promise<void>;

interface Matching extends DecodedSlice {
  /** How many of its events are matched, or need not be. */
  done: number;
  /** What is matched and not yet handed over. */
  matched: MatchedEvent[];
}

/**
 * Makes the matcher. What a turn of the event loop has matched is handed over in that turn, so that the
 * engine and the view never disagree: usually all of it, else a beginning of each slice.
 */
export function createSliceMatcher(deps: {
  readonly view: SubscriptionView;
  readonly loop: EngineLoop;
}): SliceMatcher {
  const { view, loop } = deps;

  function matchNext(slice: Matching): void {
    const event = slice.events[slice.done];
    if (event === undefined) return;
    slice.matched.push({ event, endpoints: view.match(event, CLOCK_TOLERANCE_MS) });
    slice.done += 1;
  }

  function handOver(slices: readonly Matching[]): void {
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
    const matching = slices.map((slice): Matching => ({ ...slice, done: 0, matched: [] }));
    const turn = beginMatchingTurn();
    for (const slice of alternate(matching)) {
      matchNext(slice);
      if (!turn.isOver()) continue;
      handOver(matching);
      await turn.next(signal);
    }
    handOver(matching);
  };
}

/** Gives those of which something is left, each in turn, so that no lane waits for all of another. */
function* alternate(slices: readonly Matching[]): Generator<Matching> {
  for (let left = slices; left.length > 0; left = left.filter(isLeft)) {
    for (const slice of left) if (isLeft(slice)) yield slice;
  }
}

function isLeft({ events, done }: Matching): boolean {
  return done < events.length;
}

/** Whether the engine still has the lane, and has taken in all of it that was matched. */
function isWaitedFor(
  { request, events, done }: Matching,
  standing: LaneStanding | undefined,
): boolean {
  return standing?.epoch === request.epoch && standing.readPosition + 1 === events[done]?.position;
}
