import type { WatchedEndpoint } from './watched-endpoint.ts';

/** The part of an event that decides who gets it. */
export interface MatchedEvent {
  readonly tenant: string;
  readonly type: string;
  readonly recordedAtMs: number;
}

/** Endpoints by tenant and event name. */
export interface EndpointIndex {
  add(endpoint: WatchedEndpoint): void;
  /** Takes an endpoint out; it must be the very object that was added. */
  remove(endpoint: WatchedEndpoint): void;
  /** As `SubscriptionView.match`. */
  match(event: MatchedEvent, toleranceMs: number): WatchedEndpoint[];
}

/** The endpoints of a subscription's name, with the time of their registration. */
type Registrations = Map<WatchedEndpoint, number>;

/** Makes an index without an endpoint. */
export function createEndpointIndex(): EndpointIndex {
  const tenants = new Map<string, Map<string, Registrations>>();
  return {
    add(endpoint) {
      const names = tenants.get(endpoint.tenant) ?? new Map<string, Registrations>();
      tenants.set(endpoint.tenant, names);
      for (const { event, registeredAtMs } of endpoint.subscriptions) {
        const registrations: Registrations = names.get(event) ?? new Map();
        names.set(event, registrations);
        registrations.set(endpoint, registeredAtMs);
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
    match(event, toleranceMs) {
      const names = tenants.get(event.tenant);
      const latestMs = event.recordedAtMs + toleranceMs;
      const matched = new Set<WatchedEndpoint>();
      for (const name of [event.type, '*']) {
        for (const [endpoint, registeredAtMs] of names?.get(name) ?? []) {
          if (registeredAtMs <= latestMs) matched.add(endpoint);
        }
      }
      return [...matched];
    },
  };
}
