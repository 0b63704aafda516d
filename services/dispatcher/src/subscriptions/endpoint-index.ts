import { createContentReader } from './matched-event.ts';
import type { MatchedEvent } from './matched-event.ts';
import { admits, type Judging } from './subscribes.ts';
import type { WatchedEndpoint, WatchedSubscription } from './watched-endpoint.ts';

/** The endpoints that match an event; with filters, what finds them. */
export type Matching = readonly WatchedEndpoint[] | MatchingParts;

/** Finds them in parts, none of which takes long. */
export type MatchingParts = Generator<undefined, readonly WatchedEndpoint[], undefined>;

/** Endpoints by tenant and event name. */
export interface EndpointIndex {
  add(endpoint: WatchedEndpoint): void;
  /** Takes an endpoint out; it must be the very object that was added. */
  remove(endpoint: WatchedEndpoint): void;
  /** As `SubscriptionView.match`. */
  match(event: MatchedEvent, toleranceMs: number): Matching;
}

/** Filters that are judged in one part. The costliest takes some tens of microseconds. */
const FILTERS_IN_PART = 16;

/** The endpoints of a subscription's name. */
interface Registrations {
  /** With the subscription of each. */
  readonly endpoints: Map<WatchedEndpoint, WatchedSubscription>;
  /** How many of these have a filter. */
  filters: number;
}

const NOBODY: readonly never[] = [];

/** Makes an index without an endpoint. */
export function createEndpointIndex(): EndpointIndex {
  const tenants = new Map<string, Map<string, Registrations>>();
  const readContent = createContentReader();
  return {
    add(endpoint) {
      const names = tenants.get(endpoint.tenant) ?? new Map<string, Registrations>();
      tenants.set(endpoint.tenant, names);
      for (const subscription of endpoint.subscriptions) {
        const registrations = names.get(subscription.event) ?? { endpoints: new Map(), filters: 0 };
        names.set(subscription.event, registrations);
        registrations.endpoints.set(endpoint, subscription);
        if (subscription.filter !== undefined) registrations.filters += 1;
      }
    },
    remove(endpoint) {
      const names = tenants.get(endpoint.tenant);
      for (const { event, filter } of endpoint.subscriptions) {
        const registrations = names?.get(event);
        if (registrations?.endpoints.delete(endpoint) !== true) continue;
        if (filter !== undefined) registrations.filters -= 1;
        if (registrations.endpoints.size === 0) names?.delete(event);
      }
      if (names?.size === 0) tenants.delete(endpoint.tenant);
    },
    match(event, toleranceMs) {
      const names = tenants.get(event.tenant);
      const registrations = [names?.get(event.type), names?.get('*')];
      const judging = { toleranceMs, readContent };
      const hasFilters = registrations.some((each) => each !== undefined && each.filters > 0);
      return hasFilters
        ? matchInParts(registrations, event, judging)
        : matchAtOnce(registrations, event, judging);
    },
  };
}

type Named = readonly (Registrations | undefined)[];

function matchAtOnce(
  [named, others]: Named,
  event: MatchedEvent,
  judging: Judging,
): readonly WatchedEndpoint[] {
  const matched: WatchedEndpoint[] = [];
  for (const [endpoint, subscription] of named?.endpoints ?? NOBODY) {
    if (admits(subscription, event, judging)) matched.push(endpoint);
  }
  if (others === undefined) return matched;
  const known = matched.length === 0 ? undefined : new Set(matched);
  for (const [endpoint, subscription] of others.endpoints) {
    if (known?.has(endpoint) === true) continue;
    if (admits(subscription, event, judging)) matched.push(endpoint);
  }
  return matched;
}

function* matchInParts(registrations: Named, event: MatchedEvent, judging: Judging): MatchingParts {
  const matched = new Set<WatchedEndpoint>();
  let judged = 0;
  for (const each of registrations) {
    for (const [endpoint, subscription] of each?.endpoints ?? NOBODY) {
      if (matched.has(endpoint)) continue;
      if (admits(subscription, event, judging)) matched.add(endpoint);
      if (subscription.filter === undefined) continue;
      judged += 1;
      if (judged % FILTERS_IN_PART === 0) yield undefined;
    }
  }
  return [...matched];
}
