import type { PartitionEnds } from '@billhook/kafka';

/**
 * Where a search for an event stands: the partition is read from `start` on.
 *
 * The positions of a lane are gapless, and repeats only add to them. So the event at position P is kept
 * at offset P - 1 or later, and if position Q > P is seen at offset O, it is kept at O - (Q - P) or
 * earlier: one step back usually finds it. If it does not, the search goes back further and further, at
 * last to the beginning of the partition, and only then says that the event is not there.
 */
export interface Search {
  readonly start: number;
  readonly tries: number;
  /** The first offset that the partition holds. */
  readonly low: number;
  /** Where the event is kept at the earliest, if the partition holds the lane from its beginning. */
  readonly guess: number;
}

/** Where a search begins: where the event was seen, where it can be at the earliest, or everywhere. */
export type Origin = 'hint' | 'guess' | 'low';

/** How far a search goes back that did not find it one step before. */
const FIRST_STEP_BACK = 1_024;
const STEP_BACK_FACTOR = 4;

/** Begins to search for the event at a position. */
export function beginSearch(
  { low, high }: PartitionEnds,
  { position, hint }: { readonly position: number; readonly hint: number | undefined },
  origin: Origin,
): Search {
  const guess = Math.max(low, Math.min(low + position - 1, high - 1));
  const isInside = hint !== undefined && hint >= low && hint < high;
  const start = { hint: isInside ? hint : guess, guess, low }[origin];
  return { start, tries: 0, low, guess };
}

/** Goes back when a later event shows that this one is kept at `atMost` or earlier, if it is there. */
export function searchBefore(search: Search, atMost: number): Search {
  const { start, tries, low } = search;
  const step = tries === 0 ? 1 : FIRST_STEP_BACK * STEP_BACK_FACTOR ** (tries - 1);
  return { ...search, start: Math.max(low, Math.min(atMost, start - step)), tries: tries + 1 };
}

/** Goes back when neither the event nor a later one was found up to the end. */
export function searchAgain(search: Search): Search {
  const { start, guess, low, tries } = search;
  return { ...search, start: start > guess ? guess : low, tries: tries + 1 };
}
