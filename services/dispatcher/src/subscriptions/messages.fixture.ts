import { subscriptionV1 } from '@billhook/contracts';

/** The format of the messages that are made here. */
export const FORMAT = 7;

/** Makes an endpoint as the watch sends it; `events` names the times of registration. */
export function endpoint(parts: {
  readonly endpointId: string;
  readonly tenant?: string;
  readonly events?: Readonly<Record<string, number>>;
  /** Of all subscriptions. */
  readonly filter?: object | undefined;
}): subscriptionV1.WatchedEndpoint {
  return {
    tenant: parts.tenant ?? 'default',
    endpointId: parts.endpointId,
    url: `https://example.com/${parts.endpointId}`,
    state: subscriptionV1.EndpointState.ENDPOINT_STATE_ACTIVE,
    subscriptions: Object.entries(parts.events ?? {}).map(([event, registeredAtMs]) => ({
      event,
      registeredAt: {
        seconds: BigInt(Math.floor(registeredAtMs / 1000)),
        nanos: (registeredAtMs % 1000) * 1_000_000,
      },
      filter: parts.filter === undefined ? '' : JSON.stringify(parts.filter),
    })),
    secrets: [{ ciphertext: Buffer.from(parts.endpointId), validUntil: undefined }],
    encryptedHeaders: Buffer.alloc(0),
    timeout: undefined,
    circuitLongestWait: undefined,
    renewTime: undefined,
  };
}

/** Makes a chunk of a snapshot; by default it is the only one. */
export function snapshot(
  revision: number,
  endpoints: readonly subscriptionV1.WatchedEndpoint[],
  place: { readonly first: boolean; readonly last: boolean } = { first: true, last: true },
): subscriptionV1.WatchResponse {
  const value = { revision: BigInt(revision), eventId: `evt_${revision}`, ...place, endpoints };
  return { message: { $case: 'snapshot', value }, format: FORMAT };
}

/** Makes a message of changes. */
export function changes(
  revision: number,
  endpoints: readonly subscriptionV1.WatchedEndpoint[],
  removedEndpointIds: readonly string[] = [],
): subscriptionV1.WatchResponse {
  const value = {
    revision: BigInt(revision),
    eventId: `evt_${revision}`,
    endpoints,
    removedEndpointIds,
  };
  return { message: { $case: 'changes', value }, format: FORMAT };
}
