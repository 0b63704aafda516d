import { writeDurationMs, writeTimestampMs } from '@billhook/contracts';
import type { Duration, subscriptionV1 } from '@billhook/contracts';
import { stateOf } from '../domain/endpoint.ts';
import type { Endpoint, EndpointState, Subscription } from '../domain/endpoint.ts';

const stateMessages: Readonly<Record<EndpointState, subscriptionV1.EndpointState>> = {
  active: 'ENDPOINT_STATE_ACTIVE',
  paused: 'ENDPOINT_STATE_PAUSED',
  disabled: 'ENDPOINT_STATE_DISABLED',
};

/** A secret as it is stored. */
export interface StoredSecret {
  readonly ciphertext: Buffer;
  /** `null`: it does not expire. */
  readonly validUntilMs: number | null;
}

/** An endpoint with all that is secret of it, as it is stored. */
export interface EndpointWithSecrets {
  readonly endpoint: Endpoint;
  /** The newest first. */
  readonly secrets: readonly StoredSecret[];
  /** `null`: it has no headers of its own. */
  readonly encryptedHeaders: Buffer | null;
}

/** Writes an endpoint as callers see it. */
export function toEndpointMessage(endpoint: Endpoint): subscriptionV1.Endpoint {
  const { disabled } = endpoint;
  return {
    endpointId: endpoint.endpointId,
    url: endpoint.url,
    state: stateMessages[stateOf(endpoint)],
    paused: endpoint.paused,
    disabledReason: disabled?.reason ?? '',
    disableTime: disabled === null ? undefined : writeTimestampMs(disabled.sinceMs),
    description: endpoint.description,
    events: endpoint.subscriptions.map(({ event }) => event),
    createTime: writeTimestampMs(endpoint.createdAtMs),
    updateTime: writeTimestampMs(endpoint.updatedAtMs),
    headerNames: endpoint.headerNames,
    filters: endpoint.subscriptions.flatMap(({ event, filter }) =>
      filter === null ? [] : [{ event, filter }],
    ),
    ...toLimits(endpoint),
  };
}

/** Writes a subscription as callers see it. */
export function toSubscriptionMessage(
  { endpointId, url }: Pick<Endpoint, 'endpointId' | 'url'>,
  { event, registeredAtMs, filter }: Subscription,
): subscriptionV1.Subscription {
  const registeredAt = writeTimestampMs(registeredAtMs);
  return { endpointId, event, url, registeredAt, filter: filter ?? '' };
}

/** Writes an endpoint as a dispatcher needs it. */
export function toWatchedEndpoint(watched: EndpointWithSecrets): subscriptionV1.WatchedEndpoint {
  const { endpoint, secrets, encryptedHeaders } = watched;
  return {
    tenant: endpoint.tenant,
    endpointId: endpoint.endpointId,
    url: endpoint.url,
    state: stateMessages[stateOf(endpoint)],
    subscriptions: endpoint.subscriptions.map(({ event, registeredAtMs, filter }) => ({
      event,
      registeredAt: writeTimestampMs(registeredAtMs),
      filter: filter ?? '',
    })),
    secrets: secrets.map(({ ciphertext, validUntilMs }) => ({
      ciphertext,
      validUntil: validUntilMs === null ? undefined : writeTimestampMs(validUntilMs),
    })),
    encryptedHeaders: encryptedHeaders ?? NO_HEADERS,
    renewTime: writeTimestampMs(endpoint.renewedAtMs),
    ...toLimits(endpoint),
  };
}

const NO_HEADERS = Buffer.alloc(0);

interface Limits {
  readonly rateLimit: number | undefined;
  readonly timeout: Duration | undefined;
  readonly maxInFlight: number | undefined;
  readonly circuitFailures: number | undefined;
  readonly circuitLongestWait: Duration | undefined;
}

function toLimits(endpoint: Endpoint): Limits {
  const { timeoutMs, circuitLongestWaitMs } = endpoint;
  return {
    rateLimit: endpoint.rateLimitPerSecond ?? undefined,
    timeout: timeoutMs === null ? undefined : writeDurationMs(timeoutMs),
    maxInFlight: endpoint.maxInFlight ?? undefined,
    circuitFailures: endpoint.circuitFailures ?? undefined,
    circuitLongestWait:
      circuitLongestWaitMs === null ? undefined : writeDurationMs(circuitLongestWaitMs),
  };
}
