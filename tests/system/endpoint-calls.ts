import type { ReflectedClient } from './reflected-client.ts';

export interface Endpoint {
  readonly endpointId: string;
  readonly url: string;
  readonly state: string;
  readonly disabledReason: string;
  readonly description: string;
  readonly events: readonly string[];
  readonly rateLimit?: number;
  readonly timeout: Duration | null;
  readonly maxInFlight?: number;
  readonly circuitFailures?: number;
  readonly circuitLongestWait: Duration | null;
  readonly headerNames: readonly string[];
  readonly filters: readonly { readonly event: string; readonly filter: string }[];
}

export interface Duration {
  readonly seconds: number;
  readonly nanos: number;
}

/** How deliveries to an endpoint go. */
export interface EndpointStatus {
  readonly waitingCount: number;
  readonly dispatchers: readonly {
    readonly circuitState: string;
    readonly circuitReason: string;
    readonly nextProbeTime: { readonly seconds: number } | null;
    readonly concurrencyLimit: number;
  }[];
}

interface UpdateRequest {
  readonly endpointId: string;
  readonly url?: string;
  readonly description?: string;
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  readonly rateLimit?: number;
  readonly timeout?: Duration;
  readonly maxInFlight?: number;
  readonly circuitFailures?: number;
  readonly circuitLongestWait?: Duration;
  readonly updateMask?: { readonly paths: readonly string[] };
}

interface RotatedSecret {
  readonly endpoint: Endpoint;
  readonly secret: string;
}

/** The calls of `billhook.subscription.v1.SubscriptionService` that act on endpoints. */
export type EndpointCalls = ReturnType<typeof createEndpointCalls>;

const SERVICE = 'billhook.subscription.v1.SubscriptionService';

/** Gives the calls of the subscription service that act on endpoints. */
export function createEndpointCalls(client: ReflectedClient) {
  const act = async (name: string, request: object): Promise<Endpoint> => {
    const { endpoint } = await client.call<{ endpoint: Endpoint }>(`${SERVICE}/${name}`, request);
    return endpoint;
  };
  return {
    get: (endpointId: string) => act('GetEndpoint', { endpointId }),
    /** How deliveries to it go, as `GetEndpoint` shows it. */
    async delivery(endpointId: string): Promise<EndpointStatus | null> {
      type Response = { readonly delivery: EndpointStatus | null };
      return (await client.call<Response>(`${SERVICE}/GetEndpoint`, { endpointId })).delivery;
    },
    pause: (endpointId: string) => act('PauseEndpoint', { endpointId }),
    resume: (endpointId: string) => act('ResumeEndpoint', { endpointId }),
    enable: (endpointId: string) => act('EnableEndpoint', { endpointId }),
    update: (request: UpdateRequest) => act('UpdateEndpoint', request),
    rotateSecret: (endpointId: string, overlap?: Duration) =>
      client.call<RotatedSecret>(`${SERVICE}/RotateSecret`, { endpointId, overlap }),
    register: (event: string, url: string, tenant: string) =>
      client.call<{ secret: string }>(`${SERVICE}/Register`, { event, url }, { tenant }),
    registerFiltered: (request: { event: string; url: string; filter: string }) =>
      act('Register', request),
    sendBytes: (method: string, bytes: Uint8Array) =>
      client.sendBytes(`${SERVICE}/${method}`, bytes),
  };
}
