import type { ReflectedClient } from './reflected-client.ts';

export interface Endpoint {
  readonly endpointId: string;
  readonly url: string;
  readonly state: string;
  readonly disabledReason: string;
  readonly events: readonly string[];
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
    pause: (endpointId: string) => act('PauseEndpoint', { endpointId }),
    resume: (endpointId: string) => act('ResumeEndpoint', { endpointId }),
    enable: (endpointId: string) => act('EnableEndpoint', { endpointId }),
    update: (request: { readonly endpointId: string; readonly url?: string }) =>
      act('UpdateEndpoint', request),
    rotateSecret: (endpointId: string) =>
      client.call<RotatedSecret>(`${SERVICE}/RotateSecret`, { endpointId }),
    register: (event: string, url: string, tenant: string) =>
      client.call<{ secret: string }>(`${SERVICE}/Register`, { event, url }, { tenant }),
    sendBytes: (method: string, bytes: Uint8Array) =>
      client.sendBytes(`${SERVICE}/${method}`, bytes),
  };
}
