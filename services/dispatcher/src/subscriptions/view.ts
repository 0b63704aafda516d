import type { subscriptionV1 } from '@billhook/contracts';
import { createEndpointIndex, type Matching } from './endpoint-index.ts';
import { createFilterReader } from './filter-reader.ts';
import type { MatchedEvent } from './matched-event.ts';
import { parseEndpoint, WatchProtocolError } from './watched-endpoint.ts';
import type { WatchedEndpoint } from './watched-endpoint.ts';

/** What a message changed: endpoints as they look now, and endpoints that are gone. */
export interface ViewChanges {
  readonly changed: readonly WatchedEndpoint[];
  readonly removed: readonly WatchedEndpoint[];
}

/** The whole set of endpoints, as it was at a revision. */
export interface SubscriptionView {
  /** 0 before the first snapshot is complete. */
  revision(): number;
  /** The id of the event at the revision. */
  eventId(): string;
  endpoint(endpointId: string): WatchedEndpoint | undefined;
  endpoints(): Iterable<WatchedEndpoint>;
  /**
   * The endpoints with a subscription to the event that was registered before it and whose filter
   * it meets, each once. The tolerance is how far the clocks of the two services may disagree: too
   * early is harmless. What is found in parts is worth nothing once the view has changed between two.
   */
  match(event: MatchedEvent, toleranceMs: number): Matching;
  /** How often it has changed. */
  changeCount(): number;
  /**
   * Takes a message of the watch in. A snapshot takes the place of everything at once with its
   * last chunk; until then the view stands as it was.
   *
   * @returns what changed, or undefined while a snapshot is incomplete.
   * @throws WatchProtocolError for a message that makes no sense here; the view stays as it was.
   */
  receive(message: subscriptionV1.WatchResponse): ViewChanges | undefined;
  /** Drops a snapshot that did not arrive completely: the next message is of another stream. */
  beginStream(): void;
}

/** Makes a view that holds nothing. */
export function createSubscriptionView(): SubscriptionView {
  let revision = 0;
  let eventId = '';
  let endpoints = new Map<string, WatchedEndpoint>();
  let index = createEndpointIndex();
  let changeCount = 0;
  let incoming: Map<string, WatchedEndpoint> | undefined;
  const readFilter = createFilterReader();
  const parse = (message: subscriptionV1.WatchedEndpoint) => parseEndpoint(message, readFilter);

  function applySnapshot(chunk: subscriptionV1.SnapshotChunk): ViewChanges | undefined {
    if (chunk.first) incoming = new Map();
    if (incoming === undefined) throw new WatchProtocolError('a snapshot began in its middle');
    for (const endpoint of chunk.endpoints.map(parse)) {
      incoming.set(endpoint.endpointId, endpoint);
    }
    if (!chunk.last) return undefined;
    const changes = difference(endpoints, incoming);
    endpoints = incoming;
    incoming = undefined;
    index = createEndpointIndex();
    for (const endpoint of endpoints.values()) index.add(endpoint);
    revision = Number(chunk.revision);
    eventId = chunk.eventId;
    return changes;
  }

  function applyChanges(message: subscriptionV1.EndpointChanges): ViewChanges {
    if (incoming !== undefined) throw new WatchProtocolError('a snapshot was not completed');
    const next = Number(message.revision);
    if (next < revision) throw new WatchProtocolError(`revision ${next} follows ${revision}`);
    const changed = message.endpoints.map(parse);
    const removed = message.removedEndpointIds.flatMap((id) => endpoints.get(id) ?? []);
    for (const endpoint of removed) remove(endpoint);
    for (const endpoint of changed) {
      const before = endpoints.get(endpoint.endpointId);
      if (before !== undefined) remove(before);
      endpoints.set(endpoint.endpointId, endpoint);
      index.add(endpoint);
    }
    revision = next;
    eventId = message.eventId;
    return { changed, removed };
  }

  function remove(endpoint: WatchedEndpoint): void {
    endpoints.delete(endpoint.endpointId);
    index.remove(endpoint);
  }

  return {
    revision: () => revision,
    eventId: () => eventId,
    endpoint: (endpointId) => endpoints.get(endpointId),
    endpoints: () => endpoints.values(),
    match: (event, toleranceMs) => index.match(event, toleranceMs),
    changeCount: () => changeCount,
    beginStream() {
      incoming = undefined;
    },
    receive({ message }) {
      if (message === undefined) throw new WatchProtocolError('a message of an unknown kind');
      changeCount += 1;
      return message.$case === 'snapshot'
        ? applySnapshot(message.value)
        : applyChanges(message.value);
    },
  };
}

/** What is new or other in the second set, and what it has no more. */
function difference(
  before: ReadonlyMap<string, WatchedEndpoint>,
  after: ReadonlyMap<string, WatchedEndpoint>,
): ViewChanges {
  const changed = [...after.values()].filter((endpoint) => {
    const old = before.get(endpoint.endpointId);
    return old === undefined || !isSame(old, endpoint);
  });
  const removed = [...before.values()].filter(({ endpointId }) => !after.has(endpointId));
  return { changed, removed };
}

function isSame(one: WatchedEndpoint, other: WatchedEndpoint): boolean {
  return fingerprint(one) === fingerprint(other);
}

/** What the engine and the sender know of an endpoint as text, whatever the order of its subscriptions. */
function fingerprint(endpoint: WatchedEndpoint): string {
  return JSON.stringify([
    endpoint.tenant,
    endpoint.url,
    endpoint.state,
    endpoint.subscriptions
      .map(({ event, registeredAtMs, filter }) => `${event} ${registeredAtMs} ${filter?.text}`)
      .toSorted(),
    endpoint.secrets.map(({ ciphertext, validUntilMs }) => [
      ciphertext.toString('base64'),
      validUntilMs ?? null,
    ]),
    endpoint.encryptedHeaders?.toString('base64'),
    endpoint.rateLimitPerSecond,
    endpoint.timeoutMs,
    endpoint.maxInFlight,
    endpoint.circuitFailures,
    endpoint.circuitLongestWaitMs,
  ]);
}
