import type { MatchedEvent } from './endpoint-index.ts';
import type { WatchedEndpoint } from './watched-endpoint.ts';

/**
 * Says whether a subscription of the endpoint matches the event: `SubscriptionView.match` for one
 * endpoint, for what was matched before and is judged again.
 */
export function subscribes(
  endpoint: WatchedEndpoint,
  event: MatchedEvent,
  toleranceMs: number,
): boolean {
  return endpoint.subscriptions.some(
    (subscription) =>
      (subscription.event === '*' || subscription.event === event.type) &&
      subscription.registeredAtMs <= event.recordedAtMs + toleranceMs,
  );
}
