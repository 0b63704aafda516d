import type { MatchedEvent } from './matched-event.ts';
import type { SubscriptionView } from './view.ts';
import type { WatchedEndpoint } from './watched-endpoint.ts';

/** Matches an event at once, however long it takes. */
export function matchAtOnce(
  view: SubscriptionView,
  event: MatchedEvent,
  toleranceMs: number,
): readonly WatchedEndpoint[] {
  const parts = view.match(event, toleranceMs);
  if (!('next' in parts)) return parts;
  let part = parts.next();
  while (part.done !== true) part = parts.next();
  return part.value;
}
