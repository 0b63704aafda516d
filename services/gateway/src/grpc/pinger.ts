import { constants } from 'node:buffer';
import { deliveryV1 } from '@billhook/contracts';
import { call, createGrpcClient, DEFAULT_TENANT } from '@billhook/grpc';
import type { Pinger } from '../rest/ping.ts';
import { callBackend } from './backend.ts';
import type { Backend } from './backend.ts';

/** What the dispatcher may take beyond the deadline of the exchanges with the receivers. */
const MARGIN_MS = 2_000;

/**
 * An answer has a result for each endpoint, and of these there may be any number. It becomes one text,
 * and none is longer than this.
 */
const MAX_ANSWER_BYTES = constants.MAX_STRING_LENGTH;

/** No status is no answer. */
const NO_STATUS = 0;

export interface PingClient extends Pinger {
  close(): void;
}

/**
 * Pings through the dispatcher.
 *
 * @param options.deliveryTimeoutMs the deadline that one exchange with a receiver has.
 */
export function createPingClient(
  target: string,
  backend: Backend,
  options: { readonly deliveryTimeoutMs: number },
): PingClient {
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, target, {
    retryable: [],
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  const timeoutMs = options.deliveryTimeoutMs + MARGIN_MS;

  return {
    ping: async (url) => {
      const { results } = await callBackend(backend, (signal) =>
        call(client.ping, { url: url ?? '' }, { tenant: DEFAULT_TENANT, timeoutMs, signal }),
      );
      return results.map((result) => ({
        url: result.url,
        outcome: outcomeOf(result.outcome),
        status: result.status === NO_STATUS ? null : result.status,
        duration_ms: result.durationMs,
      }));
    },
    close: () => client.close(),
  };
}

function outcomeOf(
  outcome: deliveryV1.AttemptOutcome,
): 'delivered' | 'rejected' | 'unreachable' | 'refused' {
  switch (outcome) {
    case 'ATTEMPT_OUTCOME_DELIVERED':
      return 'delivered';
    case 'ATTEMPT_OUTCOME_REJECTED':
      return 'rejected';
    case 'ATTEMPT_OUTCOME_UNREACHABLE':
      return 'unreachable';
    case 'ATTEMPT_OUTCOME_REFUSED':
      return 'refused';
    case 'ATTEMPT_OUTCOME_UNSPECIFIED':
    case 'UNRECOGNIZED':
      throw new Error(`a ping was answered with the outcome ${outcome}`);
  }
}
