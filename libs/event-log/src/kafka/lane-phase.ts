import type { Search } from './search.ts';

/**
 * What a lane does. When it is asked for a position it does not stand at, it asks where the partition
 * begins and ends, searches for the event at that position, and then follows: it collects what comes
 * after it. Whatever contradicts that (an offset that went back, a jump) makes it ask and search again.
 * When it was quiet for a while, it checks that the partition is still the same: a topic that is deleted
 * and made anew may have the same offsets again before anybody notices. When nobody asks any more, it is
 * idle and holds nothing.
 */
export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking' }
  | Searching
  | Following
  | { readonly kind: 'checking'; readonly place: Place; readonly back: Searching | Following };

export interface Searching {
  readonly kind: 'searching';
  readonly search: Search;
}

export interface Following {
  readonly kind: 'following';
}

/** What was read at an offset. */
export interface Place {
  readonly offset: number;
  readonly position: number | undefined;
  /** Absent when the position is enough. */
  readonly id?: string;
}
