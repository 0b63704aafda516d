import type { MatchedEvent, ReadContent } from './matched-event.ts';
import type { WatchedEndpoint, WatchedSubscription } from './watched-endpoint.ts';

export interface Judging {
  /** How far the clocks of the two services may disagree. */
  readonly toleranceMs: number;
  readonly readContent: ReadContent;
}

/**
 * Says whether a subscription of the endpoint matches the event: `SubscriptionView.match` for one
 * endpoint, for what was matched before and is judged again.
 */
export function subscribes(
  endpoint: WatchedEndpoint,
  event: MatchedEvent,
  judging: Judging,
): boolean {
  return endpoint.subscriptions.some(
    (subscription) =>
      (subscription.event === '*' || subscription.event === event.type) &&
      admits(subscription, event, judging),
  );
}

/** Says whether a subscription to the event's name was there in time, and its filter is met. */
export function admits(
  { registeredAtMs, filter }: WatchedSubscription,
  event: MatchedEvent,
  { toleranceMs, readContent }: Judging,
): boolean {
  if (registeredAtMs > event.recordedAtMs + toleranceMs) return false;
  return filter === undefined || filter.matches(readContent(event));
}
