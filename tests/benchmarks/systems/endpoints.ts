import { subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import type { ReceivedEndpoint, Receiver } from '../receiver/receiver.ts';
import type { MeasuredSystem } from './measured-system.ts';

/** An endpoint of the system that is measured. */
export interface MeasuredEndpoint extends ReceivedEndpoint {
  readonly endpointId: string;
  readonly tenant: string;
  readonly url: string;
}

/** Where new endpoints belong. */
export interface EndpointPlaces {
  /** A name for each of the tenants. */
  readonly tenants: readonly string[];
  readonly perTenant: number;
}

const DEFAULT_TENANT = 'default';
const CONCURRENCY = 16;
const CALL_TIMEOUT_MS = 30_000;
let made = 0;

/**
 * Registers endpoints for all events, and tells the receiver of them. They are spread over the ports
 * of the receiver, as hosts of endpoints are.
 */
export async function registerEndpoints(
  { addresses }: MeasuredSystem,
  receiver: Pick<Receiver, 'origins' | 'expect'>,
  { tenants, perTenant }: EndpointPlaces,
): Promise<readonly MeasuredEndpoint[]> {
  const client = createClient(addresses.subscription);
  const wanted = tenants.flatMap((tenant) => Array<string>(perTenant).fill(tenant));
  const endpoints: MeasuredEndpoint[] = [];
  try {
    await withEach(wanted, async (tenant) => {
      made += 1;
      const path = `/endpoint-${made}`;
      const url = `${receiver.origins[made % receiver.origins.length]}${path}`;
      const request = { event: '*', url, filter: '' };
      const options = { tenant, timeoutMs: CALL_TIMEOUT_MS };
      const { endpoint, secret } = await call(client.register, request, options);
      endpoints.push({ endpointId: endpoint?.endpointId ?? '', tenant, url, path, secret });
    });
  } finally {
    client.close();
  }
  await receiver.expect(endpoints);
  return endpoints;
}

/** So many endpoints of the tenant that a call without one belongs to. */
export function ofDefaultTenant(perTenant: number): EndpointPlaces {
  return { tenants: [DEFAULT_TENANT], perTenant };
}

/** Takes endpoints away again. */
export async function unregisterEndpoints(
  { addresses }: MeasuredSystem,
  receiver: Pick<Receiver, 'forget'>,
  endpoints: readonly MeasuredEndpoint[],
): Promise<void> {
  const client = createClient(addresses.subscription);
  try {
    await withEach(endpoints, async ({ tenant, url }) => {
      const options = { tenant, timeoutMs: CALL_TIMEOUT_MS };
      await call(client.unregister, { event: '*', url }, options);
    });
  } finally {
    client.close();
  }
  await receiver.forget(endpoints);
}

function createClient(target: string) {
  return createGrpcClient(subscriptionV1.SubscriptionServiceClient, target, { retryable: [] });
}

async function withEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}
