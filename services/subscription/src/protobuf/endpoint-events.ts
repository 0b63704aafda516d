import {
  readDurationMs,
  readTimestampMs,
  subscriptionEventsV1,
  writeDurationMs,
  writeTimestampMs,
} from '@billhook/contracts';
import type { Timestamp } from '@billhook/contracts';
import type { EndpointChanges, EndpointEvent } from '../domain/endpoint.ts';

type Change = NonNullable<subscriptionEventsV1.EndpointEvent['change']>;

/** The bytes of an event as they are stored for ever. The same event always gives the same bytes. */
export function encodeEndpointEvent(event: EndpointEvent): Uint8Array {
  return subscriptionEventsV1.EndpointEvent.encode({ change: toChange(event) }).finish();
}

/**
 * Reads a stored event.
 *
 * @throws if the bytes are no event that this service has written.
 */
export function decodeEndpointEvent(data: Uint8Array): EndpointEvent {
  const { change } = subscriptionEventsV1.EndpointEvent.decode(data);
  switch (change?.$case) {
    case 'created':
      return { type: 'endpoint_created', url: change.value.url };
    case 'subscriptionAdded': {
      const { event, registeredAt, filter } = change.value;
      const registeredAtMs = timeOf(registeredAt);
      return { type: 'subscription_added', event, registeredAtMs, filter: filter || null };
    }
    case 'subscriptionFilterChanged': {
      const { event, filter } = change.value;
      return { type: 'subscription_filter_changed', event, filter: filter || null };
    }
    case 'subscriptionRemoved':
      return { type: 'subscription_removed', event: change.value.event };
    case 'removed':
      return { type: 'endpoint_removed' };
    case 'paused':
      return { type: 'endpoint_paused' };
    case 'resumed':
      return { type: 'endpoint_resumed' };
    case 'disabled':
      return { type: 'endpoint_disabled', reason: change.value.reason };
    case 'enabled':
      return { type: 'endpoint_enabled' };
    case 'updated':
      return { type: 'endpoint_updated', changes: fromUpdated(change.value) };
    case 'secretRotated':
      return {
        type: 'secret_rotated',
        previousValidUntilMs: timeOf(change.value.previousValidUntil),
      };
    case undefined:
      throw new Error('A stored event is of a kind that this version does not know');
  }
}

function toChange(event: EndpointEvent): Change {
  switch (event.type) {
    case 'endpoint_created':
      return { $case: 'created', value: { url: event.url } };
    case 'subscription_added': {
      const registeredAt = writeTimestampMs(event.registeredAtMs);
      const value = { event: event.event, registeredAt, filter: event.filter ?? '' };
      return { $case: 'subscriptionAdded', value };
    }
    case 'subscription_filter_changed': {
      const value = { event: event.event, filter: event.filter ?? '' };
      return { $case: 'subscriptionFilterChanged', value };
    }
    case 'subscription_removed':
      return { $case: 'subscriptionRemoved', value: { event: event.event } };
    case 'endpoint_removed':
      return { $case: 'removed', value: {} };
    case 'endpoint_paused':
      return { $case: 'paused', value: {} };
    case 'endpoint_resumed':
      return { $case: 'resumed', value: {} };
    case 'endpoint_disabled':
      return { $case: 'disabled', value: { reason: event.reason } };
    case 'endpoint_enabled':
      return { $case: 'enabled', value: {} };
    case 'endpoint_updated':
      return { $case: 'updated', value: toUpdated(event.changes) };
    case 'secret_rotated': {
      const previousValidUntil = writeTimestampMs(event.previousValidUntilMs);
      return { $case: 'secretRotated', value: { previousValidUntil } };
    }
  }
}

/** Zero stands for `null`: a field of its own that is no more. */
function toUpdated(changes: EndpointChanges): subscriptionEventsV1.EndpointUpdated {
  const { url, description, headerNames, timeoutMs, circuitLongestWaitMs: waitMs } = changes;
  return {
    url,
    description,
    headers: headerNames && { names: headerNames },
    rateLimit: orZero(changes.rateLimitPerSecond),
    timeout: timeoutMs === undefined ? undefined : writeDurationMs(timeoutMs ?? 0),
    maxInFlight: orZero(changes.maxInFlight),
    circuitFailures: orZero(changes.circuitFailures),
    circuitLongestWait: waitMs === undefined ? undefined : writeDurationMs(waitMs ?? 0),
  };
}

function fromUpdated(updated: subscriptionEventsV1.EndpointUpdated): EndpointChanges {
  const { url, description, headers, rateLimit, timeout, maxInFlight } = updated;
  const { circuitFailures, circuitLongestWait } = updated;
  const timeoutMs = timeout && readDurationMs(timeout);
  const waitMs = circuitLongestWait && readDurationMs(circuitLongestWait);
  return {
    ...(url === undefined ? {} : { url }),
    ...(description === undefined ? {} : { description }),
    ...(headers === undefined ? {} : { headerNames: headers.names }),
    ...(rateLimit === undefined ? {} : { rateLimitPerSecond: rateLimit || null }),
    ...(timeoutMs === undefined ? {} : { timeoutMs: timeoutMs || null }),
    ...(maxInFlight === undefined ? {} : { maxInFlight: maxInFlight || null }),
    ...(circuitFailures === undefined ? {} : { circuitFailures: circuitFailures || null }),
    ...(waitMs === undefined ? {} : { circuitLongestWaitMs: waitMs || null }),
  };
}

function orZero(limit: number | null | undefined): number | undefined {
  return limit === null ? 0 : limit;
}

function timeOf(timestamp: Timestamp | undefined): number {
  const timeMs = timestamp === undefined ? undefined : readTimestampMs(timestamp);
  if (timeMs === undefined) {
    throw new Error('A stored event lacks its time');
  }
  return timeMs;
}
