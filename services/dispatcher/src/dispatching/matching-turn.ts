import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest that matching keeps the process from everything else, give or take a few filters. */
const TURN_MS = 10;

/**
 * A turn of the event loop, as far as matching may use it up. Filters can be many and costly: leases are
 * kept and deliveries go on only while matching pauses.
 */
export interface MatchingTurn {
  /** Says whether it is used up. Looked at after each event, and after every few filters. */
  isOver(): boolean;
  /** Lets other things happen. It rejects when the signal aborts. */
  next(signal: AbortSignal): Promise<void>;
}

/** Begins a turn. */
export function beginMatchingTurn(): MatchingTurn {
  let endMs = performance.now() + TURN_MS;
  return {
    isOver: () => performance.now() >= endMs,
    async next(signal) {
      await nextTurn(undefined, { signal });
      endMs = performance.now() + TURN_MS;
    },
  };
}
