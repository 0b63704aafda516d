import { subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient, openStream, type GrpcClient } from '@billhook/grpc';
import { within } from '@billhook/runtime';

import type { SubscriptionSource } from './watch.ts';

export type SubscriptionClient = GrpcClient<typeof subscriptionV1.SubscriptionServiceService>;

/** The barrier asks again by itself: an answer that comes later is of no use. */
const REVISION_TIMEOUT_MS = 1_000;

/** Makes the client of the subscription service. The caller closes it. */
export function createSubscriptionClient(target: string): SubscriptionClient {
  return createGrpcClient(subscriptionV1.SubscriptionServiceClient, target, {
    retryable: ['getRevision', 'disableEndpoint'],
  });
}

/**
 * The set of endpoints, as the subscription service gives it.
 *
 * @param askInProcess asks for the revision in this process; the service is called unless it is given.
 */
export function createGrpcSource(
  client: SubscriptionClient,
  askInProcess?: () => Promise<bigint>,
): SubscriptionSource {
  const ask = () => (askInProcess === undefined ? callForRevision(client) : inTime(askInProcess()));
  return {
    watch: (request, signal) => openStream(client.watch, request, { signal }),
    currentRevision: async () => Number(await ask()),
  };
}

async function callForRevision(client: SubscriptionClient): Promise<bigint> {
  const { revision } = await call(client.getRevision, {}, { timeoutMs: REVISION_TIMEOUT_MS });
  return revision;
}

/** Gives an answer the deadline that a call has by itself. */
function inTime<Answer>(asked: Promise<Answer>): Promise<Answer> {
  return within(asked, REVISION_TIMEOUT_MS, () => {
    throw new Error(`The revision was not known within ${REVISION_TIMEOUT_MS} ms`);
  });
}
