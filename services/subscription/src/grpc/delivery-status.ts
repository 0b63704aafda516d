import { deliveryV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import type { Log } from '@billhook/runtime';

/** Whoever looks an endpoint up does not wait for longer. */
const TIMEOUT_MS = 1_000;

/** Says how deliveries to an endpoint go, as far as a dispatcher tells it in time. */
export interface DeliveryStatus {
  read(endpointId: string, tenant: string): Promise<deliveryV1.EndpointStatus | undefined>;
  close(): void;
}

/** Asks dispatchers, at `target`. */
export function createDeliveryStatus(
  { log }: { readonly log: Log },
  target: string,
): DeliveryStatus {
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, target, {
    retryable: ['getEndpointStatus'],
  });
  return {
    async read(endpointId, tenant) {
      const options = { tenant, timeoutMs: TIMEOUT_MS };
      try {
        return (await call(client.getEndpointStatus, { endpointId }, options)).status;
      } catch (error) {
        // A dispatcher may not know yet of an endpoint that was just registered.
        log.debug({ err: error, endpoint: endpointId }, 'how deliveries go is not known');
        return undefined;
      }
    },
    close: () => client.close(),
  };
}
