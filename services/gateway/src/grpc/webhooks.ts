import { subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient, DEFAULT_TENANT } from '@billhook/grpc';
import type { Webhooks } from '../rest/webhooks.ts';
import { callBackend } from './backend.ts';
import type { Backend } from './backend.ts';

/** Longer than the second for which a registration may look up a name. */
const ANSWER_TIMEOUT_MS = 5_000;

export interface WebhookClient extends Webhooks {
  close(): void;
}

/** Registers and unregisters at the subscription service. */
export function createWebhookClient(target: string, backend: Backend): WebhookClient {
  // A repeated unregistration would be answered that there is none, so it is not repeated.
  const client = createGrpcClient(subscriptionV1.SubscriptionServiceClient, target, {
    retryable: ['register'],
  });
  const options = { tenant: DEFAULT_TENANT, timeoutMs: ANSWER_TIMEOUT_MS };

  return {
    register: async ({ filter, ...webhook }) => {
      const request = { ...webhook, filter: filter === undefined ? '' : JSON.stringify(filter) };
      const { endpoint, secret } = await callBackend(backend, (signal) =>
        call(client.register, request, { ...options, signal }),
      );
      if (endpoint === undefined) throw new Error('a registration was answered without endpoint');
      return {
        endpoint_id: endpoint.endpointId,
        event: webhook.event,
        url: endpoint.url,
        status: statusOf(endpoint.state),
        ...(secret === '' ? {} : { secret }),
      };
    },
    unregister: async (webhook) => {
      const { endpointId, url } = await callBackend(backend, (signal) =>
        call(client.unregister, webhook, { ...options, signal }),
      );
      return { endpoint_id: endpointId, event: webhook.event, url, status: 'unregistered' };
    },
    close: () => client.close(),
  };
}

/** A registration enables a disabled endpoint, so that is no state it can end in. */
function statusOf(state: subscriptionV1.EndpointState): 'active' | 'paused' {
  switch (state) {
    case 'ENDPOINT_STATE_ACTIVE':
      return 'active';
    case 'ENDPOINT_STATE_PAUSED':
      return 'paused';
    case 'ENDPOINT_STATE_DISABLED':
    case 'ENDPOINT_STATE_UNSPECIFIED':
    case 'UNRECOGNIZED':
      throw new Error(`a registration was answered with an endpoint in state ${state}`);
  }
}
