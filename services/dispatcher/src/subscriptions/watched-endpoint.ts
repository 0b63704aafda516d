import { readDurationMs, subscriptionV1 } from '@billhook/contracts';
import type { Duration, Timestamp } from '@billhook/contracts';
import type { Filter } from '@billhook/filters';
import type { ReadFilter } from './filter-reader.ts';

/** An endpoint as the dispatcher needs it. */
export interface WatchedEndpoint {
  readonly tenant: string;
  readonly endpointId: string;
  readonly url: string;
  /** Scheme, host and port of the URL. */
  readonly origin: string;
  readonly state: 'active' | 'paused' | 'disabled';
  readonly subscriptions: readonly WatchedSubscription[];
  /** The newest first. */
  readonly secrets: readonly EncryptedSecret[];
  /** All headers of its own; undefined, here and below: none of its own. */
  readonly encryptedHeaders: Buffer | undefined;
  /** Deliveries per second. */
  readonly rateLimitPerSecond: number | undefined;
  /** The deadline of one exchange. */
  readonly timeoutMs: number | undefined;
  /** Deliveries under way at a time. */
  readonly maxInFlight: number | undefined;
  /** Failures in a row that open its circuit. */
  readonly circuitFailures: number | undefined;
  /** The longest wait between two probes while its circuit is open. */
  readonly circuitLongestWaitMs: number | undefined;
  /** When it was made, enabled, resumed or got its URL: failures before that do not count. 0: not known. */
  readonly renewedAtMs: number;
}

export interface WatchedSubscription {
  /** An event name, or `*`. */
  readonly event: string;
  readonly registeredAtMs: number;
  /** The condition that events must meet; undefined: they all come. */
  readonly filter: Filter | undefined;
}

export interface EncryptedSecret {
  readonly ciphertext: Buffer;
  /** Absent: it does not expire. */
  readonly validUntilMs: number | undefined;
}

/** The other side sent something that cannot be applied: the watch must start from a snapshot. */
export class WatchProtocolError extends Error {
  override readonly name = 'WatchProtocolError';
}

/**
 * Reads an endpoint from a message. Its filters are compiled here, at most once for as long as it does
 * not change.
 *
 * @throws WatchProtocolError when a time is missing, or a duration is none.
 */
export function parseEndpoint(
  message: subscriptionV1.WatchedEndpoint,
  readFilter: ReadFilter,
): WatchedEndpoint {
  const { tenant, endpointId, url, encryptedHeaders } = message;
  const filters = message.subscriptions.map(({ filter }) => readFilter(filter));
  return {
    tenant,
    endpointId,
    url,
    origin: new URL(url).origin,
    state: filters.includes('unknown') ? 'paused' : stateNames[message.state],
    subscriptions: message.subscriptions.map(({ event, registeredAt }, index) => {
      if (registeredAt === undefined) {
        throw new WatchProtocolError(`a subscription of ${endpointId} has no time`);
      }
      const filter = filters[index];
      return {
        event,
        registeredAtMs: toMilliseconds(registeredAt),
        filter: filter === 'unknown' ? undefined : filter,
      };
    }),
    secrets: message.secrets.map(({ ciphertext, validUntil }) => ({
      ciphertext,
      validUntilMs: validUntil === undefined ? undefined : toMilliseconds(validUntil),
    })),
    encryptedHeaders: encryptedHeaders.length > 0 ? encryptedHeaders : undefined,
    rateLimitPerSecond: message.rateLimit,
    timeoutMs: toDurationMs(message.timeout, `the time-out of ${endpointId}`),
    maxInFlight: message.maxInFlight,
    circuitFailures: message.circuitFailures,
    circuitLongestWaitMs: toDurationMs(
      message.circuitLongestWait,
      `the longest wait of ${endpointId}`,
    ),
    // A subscription service of the version before does not say.
    renewedAtMs: message.renewTime === undefined ? 0 : toMilliseconds(message.renewTime),
  };
}

/** A state that this version does not know holds deliveries back rather than send or lose them. */
const stateNames = {
  [subscriptionV1.EndpointState.ENDPOINT_STATE_ACTIVE]: 'active',
  [subscriptionV1.EndpointState.ENDPOINT_STATE_PAUSED]: 'paused',
  [subscriptionV1.EndpointState.ENDPOINT_STATE_DISABLED]: 'disabled',
  [subscriptionV1.EndpointState.ENDPOINT_STATE_UNSPECIFIED]: 'paused',
  [subscriptionV1.EndpointState.UNRECOGNIZED]: 'paused',
} as const satisfies Record<subscriptionV1.EndpointState, WatchedEndpoint['state']>;

function toMilliseconds(time: Timestamp): number {
  return Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000);
}

function toDurationMs(duration: Duration | undefined, what: string): number | undefined {
  if (duration === undefined) return undefined;
  const durationMs = readDurationMs(duration);
  if (durationMs === undefined || durationMs <= 0) throw new WatchProtocolError(`${what} is none`);
  return durationMs;
}
