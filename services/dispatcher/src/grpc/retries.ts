import type { deliveryV1 } from '@billhook/contracts';
import { decodePageToken, encodePageToken, type PageScope } from '@billhook/grpc';
import type { Pool } from '@billhook/postgres';
import { invalidField, ServiceError } from '@billhook/runtime';

import { listDeliveries } from '../postgres/deliveries.ts';
import { countRequests, insertRequests } from '../postgres/requests.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { EVENT_ID, optionalTimeMs, requireEndpointId } from './fields.ts';

interface Dependencies {
  readonly pool: Pool;
  readonly view: SubscriptionView;
}

/** Deliveries that one call asks to be sent again. */
export const RETRY_AT_MOST = 500;
/** With so many of an endpoint that are asked for and do not wait as rows yet, no more are. */
export const MAX_ASKED = 10_000;

/**
 * Asks the owners of their lanes to send dead deliveries of an endpoint again.
 *
 * @throws ServiceError `INVALID_ARGUMENT` for a bad field, `FAILED_PRECONDITION` when the endpoint is
 *   not registered, `RESOURCE_EXHAUSTED` when too many of its deliveries are asked for already.
 */
export async function retryDeliveries(
  { pool, view }: Dependencies,
  request: deliveryV1.RetryDeliveriesRequest,
  tenant: string,
): Promise<deliveryV1.RetryDeliveriesResponse> {
  const { endpointId } = request;
  requireEndpointId(endpointId);
  const sinceMs = optionalTimeMs('start_time', request.startTime);
  const untilMs = optionalTimeMs('end_time', request.endTime);
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs >= untilMs) {
    throw invalidField('end_time', 'FIELD_INVALID', 'must be later than start_time');
  }
  const endpoint = view.endpoint(endpointId);
  if (endpoint?.tenant !== tenant) {
    const message = 'the deliveries cannot be retried: their endpoint is not registered';
    throw new ServiceError('FAILED_PRECONDITION', 'ENDPOINT_UNREGISTERED', message);
  }
  const range = [sinceMs, untilMs].map(String);
  const scope: PageScope = { kind: 'retries', filter: [tenant, endpointId, ...range] };
  const [beforeEventId] = decodePageToken(scope, request.pageToken, [EVENT_ID]) ?? [];
  if ((await countRequests(pool, endpointId, MAX_ASKED)) >= MAX_ASKED) {
    const message = `the endpoint has to get what was retried before; ${whatHelps[endpoint.state]}`;
    throw new ServiceError('RESOURCE_EXHAUSTED', 'TOO_MANY_RETRIES', message);
  }
  const dead = await listDeliveries(pool, {
    tenant,
    endpointId,
    beforeEventId,
    sinceMs,
    untilMs,
    limit: RETRY_AT_MOST,
    only: 'dead',
  });
  const retriedCount = await insertRequests(
    pool,
    dead.map(({ lane, position, attempt }) => {
      return { lane, position, endpointId, reviveAttempt: attempt };
    }),
  );
  const last = dead.at(-1);
  const isAll = last === undefined || dead.length < RETRY_AT_MOST;
  return {
    retriedCount,
    nextPageToken: isAll ? '' : encodePageToken(scope, [last.eventId]),
  };
}

/** What to do when too much waits already. */
const whatHelps = {
  active: 'try again in a few minutes',
  paused: 'it is paused: resume it first',
  disabled: 'it is disabled: enable it first',
} as const satisfies Record<WatchedEndpoint['state'], string>;
