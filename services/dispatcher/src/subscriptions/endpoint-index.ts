import { createContentReader } from './matched-event.ts';
import type { MatchedEvent } from './matched-event.ts';
import { admits } from './subscribes.ts';
import type { WatchedEndpoint, WatchedSubscription } from './watched-endpoint.ts';

/** Endpoints by tenant and event name. */
export interface EndpointIndex {
  add(endpoint: WatchedEndpoint): void;
  /** Takes an endpoint out; it must be the very object that was added. */
  remove(endpoint: WatchedEndpoint): void;
  /** As `SubscriptionView.match`. */
  match(
    event: MatchedEvent,
    toleranceMs: number,
  ): Generator<undefined, WatchedEndpoint[], undefined>;
}

/** Filters that are judged in one part. The costliest takes some tens of microseconds. */
const FILTERS_IN_PART = 16;

/** The endpoints of a subscription's name, with the subscription of each. */
type Registrations = Map<WatchedEndpoint, WatchedSubscription>;

/** Makes an index without an endpoint. */
export function createEndpointIndex(): EndpointIndex {
  const tenants = new Map<string, Map<string, Registrations>>();
  const readContent = createContentReader();
  return {
    add(endpoint) {
      const names = tenants.get(endpoint.tenant) ?? new Map<string, Registrations>();
      tenants.set(endpoint.tenant, names);
      for (const subscription of endpoint.subscriptions) {
        const registrations: Registrations = names.get(subscription.event) ?? new Map();
        names.set(subscription.event, registrations);
        registrations.set(endpoint, subscription);
      }
    },
    remove(endpoint) {
      const names = tenants.get(endpoint.tenant);
      for (const { event } of endpoint.subscriptions) {
        const registrations = names?.get(event);
        registrations?.delete(endpoint);
        if (registrations?.size === 0) names?.delete(event);
      }
      if (names?.size === 0) tenants.delete(endpoint.tenant);
    },
    *match(event, toleranceMs) {
      const names = tenants.get(event.tenant);
      const judging = { toleranceMs, readContent };
      const matched = new Set<WatchedEndpoint>();
      let judged = 0;
      for (const name of [event.type, '*']) {
        for (const [endpoint, subscription] of names?.get(name) ?? []) {
          if (matched.has(endpoint)) continue;
          if (admits(subscription, event, judging)) matched.add(endpoint);
          if (subscription.filter === undefined) continue;
          judged += 1;
          if (judged % FILTERS_IN_PART === 0) yield undefined;
        }
      }
      return [...matched];
    },
  };
}
