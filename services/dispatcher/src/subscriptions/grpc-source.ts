import { subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient, openStream } from '@billhook/grpc';
import type { GrpcClient } from '@billhook/grpc';
import type { SubscriptionSource } from './watch.ts';

/** A copy that does not answer in this time does not answer; then another is asked. */
const REVISION_TIMEOUT_MS = 1_000;

/** The client of the subscription service, as the dispatcher uses it. */
export type SubscriptionClient = GrpcClient<typeof subscriptionV1.SubscriptionServiceService>;

/**
 * Makes a client that asks the copies of the subscription service in turn.
 *
 * @param target one address or several, as `createGrpcClient` takes them.
 */
export function createSubscriptionClient(target: string): SubscriptionClient {
  return createGrpcClient(subscriptionV1.SubscriptionServiceClient, target, {
    retryable: ['getRevision'],
  });
}

/** Takes the set of endpoints from the subscription service. */
export function createGrpcSource(client: SubscriptionClient): SubscriptionSource {
  return {
    watch: (request, signal) => openStream(client.watch, request, { signal }),
    async currentRevision() {
      const options = { timeoutMs: REVISION_TIMEOUT_MS };
      const answer = await call(client.getRevision, {}, options);
      return Number(answer.revision);
    },
  };
}
