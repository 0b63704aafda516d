import { writeTimestampMs, type deliveryV1, type Timestamp } from '@billhook/contracts';
import type { Pool } from '@billhook/postgres';
import { ServiceError } from '@billhook/runtime';

import { countRequests } from '../postgres/requests.ts';
import { readStatus, type StoredStanding } from '../postgres/standings.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import { requireEndpointId } from './fields.ts';
import { MAX_ASKED } from './retries.ts';

/**
 * Shows how deliveries to an endpoint go, whichever dispatchers have to do with it.
 *
 * @throws ServiceError `NOT_FOUND` when the tenant has no such endpoint.
 */
export async function getEndpointStatus(
  { pool, view }: { readonly pool: Pool; readonly view: SubscriptionView },
  endpointId: string,
  tenant: string,
): Promise<deliveryV1.GetEndpointStatusResponse> {
  requireEndpointId(endpointId);
  const endpoint = view.endpoint(endpointId);
  if (endpoint?.tenant !== tenant) {
    throw new ServiceError('NOT_FOUND', 'ENDPOINT_NOT_FOUND', `there is no ${endpointId}`);
  }
  const [status, requestedRetryCount] = await Promise.all([
    readStatus(pool, endpointId),
    countRequests(pool, endpointId, MAX_ASKED),
  ]);
  const { failingSinceMs = 0 } = status;
  return {
    status: {
      endpointId,
      waitingCount: BigInt(status.waiting),
      moreWaiting: status.hasCursor,
      unreadEventCount: BigInt(roundUp(status.unread)),
      oldestWaitingTime: toTimestamp(status.oldestWaitingMs),
      lastSuccessTime: toTimestamp(status.lastSuccessMs),
      // Failures before its renewal are forgotten with the next attempt.
      failingSinceTime:
        failingSinceMs > endpoint.renewedAtMs ? toTimestamp(failingSinceMs) : undefined,
      dispatchers: status.standings.map(toDispatcherStatus),
      requestedRetryCount,
    },
  };
}

/** To two digits, and in tens: how many events others have is nothing that a tenant can count. */
function roundUp(count: number): number {
  const unit = 10 ** Math.max(1, Math.floor(Math.log10(Math.max(1, count))) - 1);
  return Math.ceil(count / unit) * unit;
}

function toDispatcherStatus(standing: StoredStanding): deliveryV1.DispatcherStatus {
  return {
    dispatcherId: standing.dispatcherId,
    circuitState: circuitStates[standing.circuit],
    circuitReason: standing.reason ?? '',
    circuitOpenTime: toTimestamp(standing.brokenSinceMs),
    nextProbeTime: toTimestamp(standing.probeAtMs),
    concurrencyLimit: standing.concurrencyLimit,
    inFlightCount: standing.inFlight,
    queuedCount: standing.queued,
    laggingLaneCount: standing.laggingLanes,
    cursorLaneCount: standing.cursorLanes,
    updateTime: toTimestamp(standing.notedAtMs),
  };
}

const circuitStates = {
  closed: 'CIRCUIT_STATE_CLOSED',
  open: 'CIRCUIT_STATE_OPEN',
  half_open: 'CIRCUIT_STATE_HALF_OPEN',
} as const satisfies Record<StoredStanding['circuit'], deliveryV1.CircuitState>;

function toTimestamp(timeMs: number | undefined): Timestamp | undefined {
  return timeMs === undefined ? undefined : writeTimestampMs(timeMs);
}
