import type { Pool } from '@billhook/postgres';

import type { Settlement } from '../engine/delivery.ts';
import { deliveryIdOf, endpointIdOf, endpointUuid, eventIdOf, eventUuid } from './ids.ts';

/** A delivery as it is recorded: a parked row, or how it ended. */
export interface StoredDelivery {
  readonly deliveryId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly type: string;
  readonly invoiceId: string;
  readonly sequence: number;
  readonly lane: number;
  readonly position: number;
  /** Attempts made. */
  readonly attempt: number;
  readonly standing:
    | {
        readonly kind: 'parked';
        readonly dueAtMs: number | undefined;
        /** The last attempt is under way, as far as is known. */
        readonly inFlight: boolean;
      }
    | {
        readonly kind: 'settled';
        readonly settlement: Settlement;
        /** An `EndReason`; undefined when its last attempt decided it. */
        readonly reason: string | undefined;
      };
}

/** An attempt as the delivery log has it. */
export interface StoredAttempt {
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly outcome: string;
  readonly status: number | undefined;
  readonly detail: string | undefined;
}

/** Which deliveries of an endpoint are wanted, newest events first. */
export interface DeliveryQuery {
  readonly tenant: string;
  readonly endpointId: string;
  /** Only events older than this one; absent for the newest. */
  readonly beforeEventId: string | undefined;
  readonly limit: number;
  /** Only what ended from this time on, and before that one. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Only parked ones of these kinds, or only those that ended so; absent for all. */
  readonly only: 'due' | 'waiting' | 'retrying' | Settlement | undefined;
}

const PARKED_COLUMNS = `parked.endpoint_id, event.event_id, event.type, event.invoice_id,
  event.sequence, parked.lane, parked.position, parked.attempt, parked.due_at, parked.in_flight,
  null::text as settlement, null::text as end_reason`;

const SETTLED_COLUMNS = `attempt.endpoint_id, attempt.event_id, attempt.type, attempt.invoice_id,
  attempt.sequence, attempt.lane, attempt.position, attempt.attempt, null::timestamptz as due_at,
  false as in_flight, attempt.settlement,
  case when attempt.outcome is null then attempt.detail end as end_reason`;

const PARKED_ONLY = {
  due: `and (parked.in_flight or parked.due_at <= now()
    or (parked.due_at is not null and parked.attempt = 0))`,
  waiting: 'and parked.due_at is null and not parked.in_flight',
  retrying: 'and parked.due_at > now() and parked.attempt > 0 and not parked.in_flight',
} as const;

/** Reads deliveries of one endpoint. */
export async function listDeliveries(pool: Pool, query: DeliveryQuery): Promise<StoredDelivery[]> {
  const result = await pool.query<DeliveryColumns>(listText(query.only), [
    endpointUuid(query.endpointId),
    query.tenant,
    query.beforeEventId === undefined ? null : eventUuid(query.beforeEventId),
    query.limit,
    ...(isEnded(query.only) ? [toDate(query.sinceMs), toDate(query.untilMs)] : []),
  ]);
  return result.rows.map(deliveryOf);
}

type Ended = 'delivered' | 'dead' | 'cancelled';

function isEnded(only: DeliveryQuery['only']): only is Ended {
  return only === 'delivered' || only === 'dead' || only === 'cancelled';
}

function toDate(timeMs: number | undefined): Date | null {
  return timeMs === undefined ? null : new Date(timeMs);
}

/** When a delivery ended; the parameters behind those that all queries have. */
const ENDED_WITHIN = `and ($5::timestamptz is null or recorded_at >= $5)
  and ($6::timestamptz is null or recorded_at < $6)`;

/**
 * A parked row says more than what was recorded before it; of several endings the last one counts:
 * a dead delivery may have been retried by hand.
 */
function listText(only: DeliveryQuery['only']): string {
  switch (only) {
    case undefined:
      return `select * from ((${parked('')}) union all (${settled('')})) as delivery
              order by event_id desc limit $4`;
    case 'due':
    case 'waiting':
    case 'retrying':
      return parked(PARKED_ONLY[only]);
    case 'delivered':
      return settled(`and settlement = 'delivered' ${ENDED_WITHIN}`);
    case 'dead':
    case 'cancelled':
      return settled(`and settlement = '${only}' ${ENDED_WITHIN} and not exists (
        select from dispatcher.attempt as later
        where later.endpoint_id = attempt.endpoint_id and later.event_id = attempt.event_id
          and later.settlement is not null and later.recorded_at > attempt.recorded_at)`);
  }
}

function parked(condition: string): string {
  return `
    select ${PARKED_COLUMNS}
    from dispatcher.parked
    join dispatcher.parked_event as event using (lane, position)
    where parked.lane in (select lane from dispatcher.lane_progress)
      and parked.endpoint_id = $1 and event.tenant = $2
      and ($3::uuid is null or event.event_id < $3) ${condition}
    order by event.event_id desc
    limit $4`;
}

function settled(condition: string): string {
  return `
    select * from (
      select distinct on (event_id) ${SETTLED_COLUMNS}
      from dispatcher.attempt
      where endpoint_id = $1 and tenant = $2 and ($3::uuid is null or event_id < $3)
        and settlement is not null ${condition}
      order by event_id desc, recorded_at desc
    ) as ended
    where not exists (
      select from dispatcher.parked
      where parked.lane = ended.lane and parked.position = ended.position
        and parked.endpoint_id = ended.endpoint_id)
    -- The order within need not outlive the join, and the next page begins behind the last one here.
    order by event_id desc
    limit $4`;
}

/** Reads one delivery with its attempts, oldest first; undefined when nothing is recorded of it. */
export async function getDelivery(
  pool: Pool,
  key: { readonly tenant: string; readonly eventId: string; readonly endpointId: string },
): Promise<{ delivery: StoredDelivery; attempts: StoredAttempt[] } | undefined> {
  const values = [endpointUuid(key.endpointId), key.tenant, eventUuid(key.eventId)];
  const row = await pool.query<DeliveryColumns>(
    `select ${PARKED_COLUMNS}
     from dispatcher.parked_event as event join dispatcher.parked using (lane, position)
     where event.event_id = $3 and parked.endpoint_id = $1 and event.tenant = $2`,
    values,
  );
  const logged = await pool.query<DeliveryColumns & AttemptColumns>(
    `select ${SETTLED_COLUMNS}, attempt.started_at, attempt.duration_ms, attempt.outcome,
       attempt.status, attempt.detail
     from dispatcher.attempt
     where endpoint_id = $1 and tenant = $2 and event_id = $3
     order by recorded_at, attempt`,
    values,
  );
  const current = row.rows[0] ?? logged.rows.findLast(({ settlement }) => settlement !== null);
  if (current === undefined) return undefined;
  return { delivery: deliveryOf(current), attempts: logged.rows.flatMap(attemptOf) };
}

interface DeliveryColumns {
  readonly endpoint_id: string;
  readonly event_id: string;
  readonly type: string;
  readonly invoice_id: string;
  readonly sequence: bigint;
  readonly lane: number;
  readonly position: bigint;
  readonly attempt: number;
  readonly due_at: Date | null;
  readonly in_flight: boolean;
  readonly settlement: Settlement | null;
  readonly end_reason: string | null;
}

interface AttemptColumns {
  readonly started_at: Date;
  readonly duration_ms: number;
  readonly outcome: string | null;
  readonly status: number | null;
  readonly detail: string | null;
}

function deliveryOf(row: DeliveryColumns): StoredDelivery {
  const endpointId = endpointIdOf(row.endpoint_id);
  const eventId = eventIdOf(row.event_id);
  return {
    deliveryId: deliveryIdOf(eventId, endpointId),
    endpointId,
    eventId,
    type: row.type,
    invoiceId: row.invoice_id,
    sequence: Number(row.sequence),
    lane: row.lane,
    position: Number(row.position),
    attempt: row.attempt,
    standing:
      row.settlement === null
        ? { kind: 'parked', dueAtMs: row.due_at?.getTime(), inFlight: row.in_flight }
        : {
            kind: 'settled',
            settlement: row.settlement,
            reason: row.end_reason ?? undefined,
          },
  };
}

/** A settlement without an attempt is no attempt. */
function attemptOf(row: DeliveryColumns & AttemptColumns): StoredAttempt[] {
  if (row.outcome === null) return [];
  return [
    {
      attempt: row.attempt,
      startedAtMs: row.started_at.getTime(),
      durationMs: row.duration_ms,
      outcome: row.outcome,
      status: row.status ?? undefined,
      detail: row.detail ?? undefined,
    },
  ];
}
