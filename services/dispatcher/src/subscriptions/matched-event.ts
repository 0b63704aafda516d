import type { FilteredEvent } from '@billhook/filters';

/** The part of an event that decides who gets it. */
export interface MatchedEvent {
  readonly tenant: string;
  readonly type: string;
  readonly recordedAtMs: number;
  /** The bytes that are sent: JSON of the event's name and its data. */
  readonly body: Buffer;
}

/** Gives the body of an event as filters judge it. */
export type ReadContent = (event: MatchedEvent) => FilteredEvent;

/**
 * Makes a reader of bodies. It remembers the last one: an event is judged for all its endpoints in a
 * row, and its body is decoded once, if any of them has a filter at all.
 */
export function createContentReader(): ReadContent {
  let last: { readonly body: Buffer; readonly content: FilteredEvent } | undefined;
  return ({ body }) => {
    if (last?.body !== body) {
      last = { body, content: JSON.parse(body.toString()) };
    }
    return last.content;
  };
}
