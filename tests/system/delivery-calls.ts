import { setTimeout as sleep } from 'node:timers/promises';
import type { ReflectedClient } from './reflected-client.ts';

export interface Delivery {
  readonly deliveryId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly event: string;
  readonly invoiceId: string;
  readonly sequence: number;
  /** Such as `DEAD`. */
  readonly state: string;
  readonly attemptCount: number;
}

export interface Attempt {
  readonly attempt: number;
  readonly outcome: string;
  readonly status: number;
  readonly detail: string;
}

/** The calls of `billhook.delivery.v1.DeliveryService`. */
export type DeliveryCalls = ReturnType<typeof createDeliveryCalls>;

const SERVICE = 'billhook.delivery.v1.DeliveryService';
const STATE_PREFIX = 'DELIVERY_STATE_';
const POLL_MS = 50;
const WAIT_TIMEOUT_MS = 30_000;

/** Gives the calls of the delivery service. */
export function createDeliveryCalls(client: ReflectedClient) {
  const list = async (endpointId: string): Promise<readonly Delivery[]> => {
    const request = { endpointId, pageSize: 1_000 };
    const path = `${SERVICE}/ListDeliveries`;
    const { deliveries } = await client.call<{ deliveries: Delivery[] }>(path, request);
    return deliveries.map(shorten);
  };
  return {
    list,
    async get(deliveryId: string) {
      const path = `${SERVICE}/GetDelivery`;
      type Response = { delivery: Delivery; attempts: Attempt[] };
      const { delivery, attempts } = await client.call<Response>(path, { deliveryId });
      return { delivery: shorten(delivery), attempts };
    },
    async retry(deliveryId: string): Promise<Delivery> {
      const path = `${SERVICE}/RetryDelivery`;
      return shorten((await client.call<{ delivery: Delivery }>(path, { deliveryId })).delivery);
    },
    /** Sends what is dead again. Returns how many. */
    async retryAll(endpointId: string, range: object = {}): Promise<number> {
      const path = `${SERVICE}/RetryDeliveries`;
      const request = { endpointId, ...range };
      return (await client.call<{ retriedCount: number }>(path, request)).retriedCount;
    },
    /** Reads the deliveries of an endpoint until the condition holds. */
    async listWhen(
      endpointId: string,
      condition: (deliveries: readonly Delivery[]) => boolean,
    ): Promise<readonly Delivery[]> {
      const giveUpAtMs = performance.now() + WAIT_TIMEOUT_MS;
      for (;;) {
        const deliveries = await list(endpointId);
        if (condition(deliveries)) return deliveries;
        if (performance.now() > giveUpAtMs) {
          throw new Error(`the deliveries stay as they are: ${JSON.stringify(deliveries)}`);
        }
        await sleep(POLL_MS);
      }
    },
    sendBytes: (method: string, bytes: Uint8Array) =>
      client.sendBytes(`${SERVICE}/${method}`, bytes),
  };
}

function shorten(delivery: Delivery): Delivery {
  return { ...delivery, state: delivery.state.replace(STATE_PREFIX, '') };
}
