/** What happened to an endpoint: a URL of a tenant that gets events. It holds no secret. */
export type EndpointEvent =
  | { readonly type: 'endpoint_created'; readonly url: string }
  | SubscriptionAdded
  /** The time of the registration stays. */
  | {
      readonly type: 'subscription_filter_changed';
      readonly event: string;
      readonly filter: string | null;
    }
  | { readonly type: 'subscription_removed'; readonly event: string }
  | { readonly type: 'endpoint_removed' }
  | { readonly type: 'endpoint_paused' }
  | { readonly type: 'endpoint_resumed' }
  | { readonly type: 'endpoint_disabled'; readonly reason: string }
  | { readonly type: 'endpoint_enabled' }
  | { readonly type: 'endpoint_updated'; readonly changes: EndpointChanges }
  | { readonly type: 'secret_rotated'; readonly previousValidUntilMs: number };

interface SubscriptionAdded extends Subscription {
  readonly type: 'subscription_added';
}

/** New values of the fields that are there. */
export interface EndpointChanges {
  readonly url?: string;
  readonly description?: string;
  /** Its own headers, which have other values now. The values are secrets, and no part of it. */
  readonly headerNames?: readonly string[];
  /** Deliveries per second; `null`, here and below: none of its own any more. */
  readonly rateLimitPerSecond?: number | null;
  readonly timeoutMs?: number | null;
  readonly maxInFlight?: number | null;
  readonly circuitFailures?: number | null;
  readonly circuitLongestWaitMs?: number | null;
}

/** Whose endpoint, and which. */
export interface EndpointKey {
  readonly tenant: string;
  readonly endpointId: string;
}

/**
 * An endpoint as its events left it.
 *
 * Being paused and being disabled are two switches: an endpoint that was paused and then disabled is
 * still paused once it is enabled. What is shown is the stronger one: disabled, then paused, then
 * active.
 */
export interface Endpoint extends EndpointKey {
  /** The number of its last event: 1, 2, 3, … */
  readonly version: number;
  /** In its WHATWG serialisation, without a fragment. */
  readonly url: string;
  readonly description: string;
  /** In lower case and in order. */
  readonly headerNames: readonly string[];
  /** Deliveries per second; `null`, here and below: none of its own. */
  readonly rateLimitPerSecond: number | null;
  /** The deadline of one exchange. */
  readonly timeoutMs: number | null;
  /** Deliveries under way at a time. */
  readonly maxInFlight: number | null;
  /** Failures in a row that open its circuit. */
  readonly circuitFailures: number | null;
  /** The longest wait between two probes while its circuit is open. */
  readonly circuitLongestWaitMs: number | null;
  readonly paused: boolean;
  /** `null`: it is not. */
  readonly disabled: Disabling | null;
  /** In the order of their names. */
  readonly subscriptions: readonly Subscription[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** When it was made, enabled, resumed or got its URL: how it was before does not count. */
  readonly renewedAtRevision: number;
  readonly renewedAtMs: number;
}

/** Why an endpoint is switched off, and since when. */
export interface Disabling {
  /** A stable word: `gone` for an answer 410, `failing` for nothing but failures for long. */
  readonly reason: string;
  readonly sinceMs: number;
}

export interface Subscription {
  /** An event name, or `*`. */
  readonly event: string;
  readonly registeredAtMs: number;
  /** The text of a condition that events must meet; `null`: they all come. */
  readonly filter: string | null;
}

export type EndpointState = 'active' | 'paused' | 'disabled';

/** An event with its endpoint, and when it was recorded. */
export interface RecordedChange extends EndpointKey {
  /** The position of the event in the one lane of all endpoints. */
  readonly revision: number;
  readonly recordedAtMs: number;
  readonly event: EndpointEvent;
}

/** What is shown of the two switches. */
export function stateOf(endpoint: Endpoint): EndpointState {
  if (endpoint.disabled !== null) {
    return 'disabled';
  }
  return endpoint.paused ? 'paused' : 'active';
}

/**
 * The endpoint after one more event.
 *
 * @param endpoint as the events before left it; undefined before the first.
 * @returns undefined once it is removed.
 * @throws if the event cannot follow: the history is broken then.
 */
export function evolve(
  endpoint: Endpoint | undefined,
  change: RecordedChange,
): Endpoint | undefined {
  const { event } = change;
  if (event.type === 'endpoint_created') {
    if (endpoint !== undefined) {
      throw brokenHistory(change, `after version ${endpoint.version}`);
    }
    return created(change, event.url);
  }
  if (endpoint === undefined) {
    throw brokenHistory(change, 'when there is none');
  }
  if (event.type === 'endpoint_removed') {
    return undefined;
  }
  const next = { ...endpoint, version: endpoint.version + 1, updatedAtMs: change.recordedAtMs };
  const renewal = { renewedAtRevision: change.revision, renewedAtMs: change.recordedAtMs };
  switch (event.type) {
    case 'subscription_added':
      return { ...next, subscriptions: withSubscription(endpoint.subscriptions, event) };
    case 'subscription_filter_changed':
      return { ...next, subscriptions: withFilter(endpoint.subscriptions, event) };
    case 'subscription_removed':
      return { ...next, subscriptions: without(endpoint.subscriptions, event.event) };
    case 'endpoint_paused':
      return { ...next, paused: true };
    case 'endpoint_resumed':
      return { ...next, paused: false, ...renewal };
    case 'endpoint_disabled':
      return { ...next, disabled: { reason: event.reason, sinceMs: change.recordedAtMs } };
    case 'endpoint_enabled':
      return { ...next, disabled: null, ...renewal };
    case 'endpoint_updated':
      return { ...next, ...event.changes, ...(event.changes.url === undefined ? {} : renewal) };
    case 'secret_rotated':
      return next;
  }
}

function created(change: RecordedChange, url: string): Endpoint {
  return {
    tenant: change.tenant,
    endpointId: change.endpointId,
    version: 1,
    url,
    description: '',
    headerNames: [],
    rateLimitPerSecond: null,
    timeoutMs: null,
    maxInFlight: null,
    circuitFailures: null,
    circuitLongestWaitMs: null,
    paused: false,
    disabled: null,
    subscriptions: [],
    createdAtMs: change.recordedAtMs,
    updatedAtMs: change.recordedAtMs,
    renewedAtRevision: change.revision,
    renewedAtMs: change.recordedAtMs,
  };
}

function withSubscription(
  subscriptions: readonly Subscription[],
  { event, registeredAtMs, filter }: Subscription,
): readonly Subscription[] {
  const behind = subscriptions.findIndex((each) => each.event > event);
  const index = behind === -1 ? subscriptions.length : behind;
  return subscriptions.toSpliced(index, 0, { event, registeredAtMs, filter });
}

function withFilter(
  subscriptions: readonly Subscription[],
  { event, filter }: Pick<Subscription, 'event' | 'filter'>,
): readonly Subscription[] {
  return subscriptions.map((each) => (each.event === event ? { ...each, filter } : each));
}

function without(subscriptions: readonly Subscription[], event: string): readonly Subscription[] {
  return subscriptions.filter((each) => each.event !== event);
}

function brokenHistory(change: RecordedChange, where: string): Error {
  const { tenant, endpointId, event } = change;
  return new Error(`Endpoint ${tenant}/${endpointId} cannot have ${event.type} ${where}`);
}
