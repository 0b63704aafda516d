import { deliveryV1, writeTimestampMs } from '@billhook/contracts';
import {
  decodePageToken,
  encodePageToken,
  implement,
  pageSize,
  type CallContext,
  type Handlers,
  type PageScope,
  type ServedService,
} from '@billhook/grpc';
import type { Pool } from '@billhook/postgres';
import { invalidField, ServiceError } from '@billhook/runtime';

import type { EndReason } from '../engine/delivery.ts';
import type { Ping } from '../dispatching/ping.ts';
import {
  getDelivery,
  listDeliveries,
  type DeliveryQuery,
  type StoredAttempt,
  type StoredDelivery,
} from '../postgres/deliveries.ts';
import { parseDeliveryId } from '../postgres/ids.ts';
import { insertRequests } from '../postgres/requests.ts';
import { hasCursor } from '../postgres/standings.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import { getEndpointStatus } from './endpoint-status.ts';
import { ENDPOINT_ID, EVENT_ID, requireEndpointId } from './fields.ts';
import { retryDeliveries } from './retries.ts';

const PAGE_SIZE = { default: 50, max: 1_000 };

/** Endpoints that one call looks through; a page may be short, and still be followed by another. */
const ENDPOINTS_PER_CALL = 100;

/** In a page token, in the place of an event: the page begins with the newest of the endpoint. */
const NEWEST = '';
const EVENT_ID_OR_NEWEST = new RegExp(`^$|${EVENT_ID.source}`);

interface DeliveryServiceDependencies {
  readonly pool: Pool;
  readonly view: SubscriptionView;
  readonly ping: Ping;
}

/** The gRPC service that shows deliveries and acts on them. */
export function createDeliveryService(deps: DeliveryServiceDependencies): ServedService {
  const handlers: Handlers<typeof deliveryV1.DeliveryServiceService> = {
    listDeliveries: (request, context) => list(deps, request, context),
    getDelivery: async (request, { tenant }) => {
      const { delivery, attempts } = await find(deps, request.deliveryId, tenant);
      return { delivery: toDelivery(delivery), attempts: attempts.map(toAttempt) };
    },
    retryDelivery: (request, { tenant }) => retry(deps, request.deliveryId, tenant),
    retryDeliveries: (request, { tenant }) => retryDeliveries(deps, request, tenant),
    getEndpointStatus: ({ endpointId }, { tenant }) => getEndpointStatus(deps, endpointId, tenant),
    ping: async ({ url }, { tenant, signal }) => {
      const results = await deps.ping(url, { tenant, signal });
      return {
        results: results.map(({ outcome, ...result }) => ({
          url: result.url,
          outcome: toOutcome(outcome.kind),
          status: 'status' in outcome ? outcome.status : 0,
          durationMs: Math.round(outcome.durationMs),
        })),
      };
    },
  };
  return implement(deliveryV1.DeliveryServiceService, { ...handlers });
}

async function list(
  deps: DeliveryServiceDependencies,
  request: deliveryV1.ListDeliveriesRequest,
  { tenant }: CallContext,
): Promise<deliveryV1.ListDeliveriesResponse> {
  if (request.endpointId !== '') requireEndpointId(request.endpointId);
  const only = toFilter(request.state);
  const limit = pageSize(request.pageSize, PAGE_SIZE);
  const scope: PageScope = {
    kind: 'deliveries',
    filter: [tenant, request.endpointId, request.state],
  };
  const { fromEndpointId, beforeEventId } = readToken(scope, request.pageToken);
  const endpointIds = endpointsToList(deps, { ...request, tenant, fromEndpointId });
  const found: StoredDelivery[] = [];
  for (const endpointId of endpointIds.slice(0, ENDPOINTS_PER_CALL)) {
    const query: DeliveryQuery = {
      tenant,
      endpointId,
      beforeEventId: endpointId === fromEndpointId ? beforeEventId : undefined,
      limit: limit - found.length,
      only,
    };
    found.push(...(await listDeliveries(deps.pool, query)));
    if (found.length >= limit) break;
  }
  const last = found.at(-1);
  const nextEndpointId = endpointIds[ENDPOINTS_PER_CALL];
  let nextPageToken = '';
  if (last !== undefined && found.length >= limit) {
    nextPageToken = encodePageToken(scope, [last.endpointId, last.eventId]);
  } else if (nextEndpointId !== undefined) {
    nextPageToken = encodePageToken(scope, [nextEndpointId, NEWEST]);
  }
  return { deliveries: found.map(toDelivery), nextPageToken };
}

/** Where a page begins: at the first endpoint and its newest event, unless the token says so. */
function readToken(
  scope: PageScope,
  token: string,
): { readonly fromEndpointId: string; readonly beforeEventId: string | undefined } {
  const patterns = [ENDPOINT_ID, EVENT_ID_OR_NEWEST];
  const [fromEndpointId = '', eventId = NEWEST] = decodePageToken(scope, token, patterns) ?? [];
  return { fromEndpointId, beforeEventId: eventId === NEWEST ? undefined : eventId };
}

/** The endpoint that is asked for, or those of the tenant from where the page before ended. */
function endpointsToList(
  { view }: DeliveryServiceDependencies,
  options: {
    readonly endpointId: string;
    readonly tenant: string;
    readonly fromEndpointId: string;
  },
): string[] {
  if (options.endpointId !== '') return [options.endpointId];
  return [...view.endpoints()]
    .filter(({ tenant }) => tenant === options.tenant)
    .map(({ endpointId }) => endpointId)
    .filter((endpointId) => endpointId >= options.fromEndpointId)
    .toSorted();
}

async function find(
  { pool, view }: DeliveryServiceDependencies,
  deliveryId: string,
  tenant: string,
): Promise<{ delivery: StoredDelivery; attempts: StoredAttempt[] }> {
  const key = parseDeliveryId(deliveryId);
  if (key === undefined) {
    throw invalidField('delivery_id', 'FIELD_INVALID', 'must be the delivery_id of a delivery');
  }
  const found = await getDelivery(pool, { ...key, tenant });
  if (found !== undefined) return found;
  const isOwn = view.endpoint(key.endpointId)?.tenant === tenant;
  const isUnread = isOwn && (await hasCursor(pool, key.endpointId));
  const missing = `nothing is recorded of ${deliveryId}`;
  throw new ServiceError(
    'NOT_FOUND',
    'DELIVERY_NOT_FOUND',
    isUnread ? `${missing}; ${UNREAD}` : missing,
  );
}

const UNREAD =
  'if its event is in the backlog that is kept in the event log, it is found when its turn comes: ' +
  'GetEndpointStatus counts these events (unread_event_count)';

async function retry(
  deps: DeliveryServiceDependencies,
  deliveryId: string,
  tenant: string,
): Promise<deliveryV1.RetryDeliveryResponse> {
  const { delivery } = await find(deps, deliveryId, tenant);
  if (deps.view.endpoint(delivery.endpointId) === undefined) {
    throw refusal('ENDPOINT_UNREGISTERED', 'its endpoint is not registered any more');
  }
  const { lane, position, endpointId, standing, attempt } = delivery;
  if (standing.kind === 'parked') {
    if (standing.dueAtMs === undefined && !standing.inFlight) {
      throw refusal('DELIVERY_WAITS', 'it waits behind an earlier event of its invoice');
    }
    await insertRequests(deps.pool, [{ lane, position, endpointId, reviveAttempt: undefined }]);
  } else if (standing.settlement === 'dead') {
    await insertRequests(deps.pool, [{ lane, position, endpointId, reviveAttempt: attempt }]);
  } else {
    throw refusal('DELIVERY_SETTLED', `it is ${standing.settlement}`);
  }
  return {
    delivery: { ...toDelivery(delivery), state: 'DELIVERY_STATE_DUE', endReason: NO_REASON },
  };
}

function refusal(reason: string, why: string): ServiceError {
  return new ServiceError('FAILED_PRECONDITION', reason, `the delivery cannot be retried: ${why}`);
}

function toDelivery(stored: StoredDelivery): deliveryV1.Delivery {
  const { standing } = stored;
  const isWaiting = standing.kind === 'parked' && !standing.inFlight;
  const dueAtMs = (isWaiting ? standing.dueAtMs : undefined) ?? -Infinity;
  return {
    deliveryId: stored.deliveryId,
    endpointId: stored.endpointId,
    eventId: stored.eventId,
    event: stored.type,
    invoiceId: stored.invoiceId,
    sequence: BigInt(stored.sequence),
    state: toState(stored),
    attemptCount: stored.attempt,
    nextAttemptTime: dueAtMs > Date.now() ? writeTimestampMs(dueAtMs) : undefined,
    endReason: (standing.kind === 'settled' && endReasons.get(standing.reason ?? '')) || NO_REASON,
  };
}

const NO_REASON = 'END_REASON_UNSPECIFIED';

const endReasonNames = {
  unregistered: 'END_REASON_ENDPOINT_UNREGISTERED',
  'no subscription matches': 'END_REASON_NO_SUBSCRIPTION',
  'waited too long': 'END_REASON_WAITED_TOO_LONG',
} as const satisfies Record<EndReason, deliveryV1.EndReason>;

/** What the delivery log has may be of another version. */
const endReasons: ReadonlyMap<string, deliveryV1.EndReason> = new Map(
  Object.entries(endReasonNames),
);

function toState({ standing, attempt }: StoredDelivery): deliveryV1.DeliveryState {
  if (standing.kind === 'parked') {
    if (standing.inFlight) return 'DELIVERY_STATE_DUE';
    if (standing.dueAtMs === undefined) return 'DELIVERY_STATE_WAITING';
    const isDue = attempt === 0 || standing.dueAtMs <= Date.now();
    return isDue ? 'DELIVERY_STATE_DUE' : 'DELIVERY_STATE_RETRYING';
  }
  switch (standing.settlement) {
    case 'delivered':
      return 'DELIVERY_STATE_DELIVERED';
    case 'dead':
      return 'DELIVERY_STATE_DEAD';
    case 'cancelled':
      return 'DELIVERY_STATE_CANCELLED';
  }
}

function toFilter(state: deliveryV1.DeliveryState): DeliveryQuery['only'] {
  switch (state) {
    case 'DELIVERY_STATE_UNSPECIFIED':
      return undefined;
    case 'DELIVERY_STATE_DUE':
      return 'due';
    case 'DELIVERY_STATE_WAITING':
      return 'waiting';
    case 'DELIVERY_STATE_RETRYING':
      return 'retrying';
    case 'DELIVERY_STATE_DELIVERED':
      return 'delivered';
    case 'DELIVERY_STATE_DEAD':
      return 'dead';
    case 'DELIVERY_STATE_CANCELLED':
      return 'cancelled';
    case 'UNRECOGNIZED':
      throw invalidField('state', 'FIELD_INVALID', 'must be a DeliveryState');
  }
}

function toAttempt(stored: StoredAttempt): deliveryV1.Attempt {
  return {
    attempt: stored.attempt,
    startTime: writeTimestampMs(stored.startedAtMs),
    durationMs: stored.durationMs,
    outcome: toOutcome(stored.outcome),
    status: stored.status ?? 0,
    detail: stored.detail ?? '',
  };
}

function toOutcome(kind: string): deliveryV1.AttemptOutcome {
  switch (kind) {
    case 'delivered':
      return 'ATTEMPT_OUTCOME_DELIVERED';
    case 'rejected':
      return 'ATTEMPT_OUTCOME_REJECTED';
    case 'unreachable':
      return 'ATTEMPT_OUTCOME_UNREACHABLE';
    case 'refused':
      return 'ATTEMPT_OUTCOME_REFUSED';
    default:
      return 'ATTEMPT_OUTCOME_UNSPECIFIED';
  }
}
