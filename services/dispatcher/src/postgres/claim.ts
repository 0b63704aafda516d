import { integers, words, type Pool } from '@billhook/postgres';

import type { LogEvent } from '../engine/delivery.ts';
import type { Claim, ClaimedRow, ClaimResult, FoundRow, RowSearch } from '../engine/effect.ts';
import { endpointUuid, eventIdOf } from './ids.ts';

/**
 * Reads rows that are due, earliest first, for several endpoints and lanes at once, each with rows
 * that follow it in its pair: else a pair could send one delivery only for each claim and recording.
 * Nothing is written: only the owner of a lane claims its rows, and knows which ones it has.
 *
 * @param nowMs rows due up to this time, wall clock, are returned; of later ones only the first
 *   due time.
 */
export async function readDueRows(
  pool: Pool,
  claims: readonly Claim[],
  nowMs: number,
): Promise<ClaimResult[]> {
  const taken = claims.flatMap(({ endpointLane }, index) =>
    [...(endpointLane.claimed?.keys() ?? [])].map((position) => ({ nth: index + 1, position })),
  );
  const result = await pool.query<DueColumns>({
    name: 'read_due_rows',
    text: `with due as materialized (
             select claim.nth::int as nth, claim.row_limit, due.*,
               count(*) filter (where due_at <= $6::timestamptz) over (partition by claim.nth)
                 as due_rows
             from unnest($1::int[], $2::uuid[], $3::int[]) with ordinality
               as claim (lane, endpoint_id, row_limit, nth)
             cross join lateral (
               select parked.lane, parked.position, parked.endpoint_id, parked.invoice_id,
                 parked.attempt, parked.in_flight, parked.ordered, parked.due_at
               from dispatcher.parked
               where parked.lane = claim.lane and parked.endpoint_id = claim.endpoint_id
                 and parked.due_at is not null
                 -- Not an anti-join: this is hashed once, not gone through for each row.
                 and (claim.nth, parked.position) not in (
                   select * from unnest($4::bigint[], $5::bigint[]))
               order by parked.due_at
               limit claim.row_limit
             ) as due
           )
           select row.*, event.event_id, event.tenant, event.invoice_id, event.sequence, event.type,
             event.recorded_at, event.traceparent, event.body
           from (
             select nth, lane, position, attempt, in_flight, ordered, due_at, position as head,
               false as follows
             from due
             union all
             select due.nth, due.lane, behind.position, behind.attempt, behind.in_flight,
               behind.ordered, due.due_at, due.position, true
             from due
             cross join lateral (
               select parked.position, parked.attempt, parked.in_flight, parked.ordered
               from dispatcher.parked
               where parked.lane = due.lane and parked.endpoint_id = due.endpoint_id
                 and parked.invoice_id = due.invoice_id and parked.ordered
                 and parked.position > due.position
               order by parked.position
               limit due.row_limit / greatest(due.due_rows, 1) - 1
             ) as behind
             where due.ordered and due.due_at <= $6::timestamptz
           ) as row
           left join dispatcher.parked_event as event
             on event.lane = row.lane and event.position = row.position
               and row.due_at <= $6::timestamptz
           order by row.nth, row.due_at, row.head, row.position`,
    values: [
      integers(claims.map(({ endpointLane }) => endpointLane.window.lane)),
      words(claims.map(({ endpointLane }) => endpointUuid(endpointLane.endpoint.id))),
      integers(claims.map(({ limit }) => limit)),
      integers(taken.map(({ nth }) => nth)),
      integers(taken.map(({ position }) => position)),
      new Date(nowMs),
    ],
  });
  const rowsOf = Map.groupBy(result.rows, ({ nth }) => nth);
  return claims.map((claim, index) => resultOf(claim, rowsOf.get(index + 1) ?? []));
}

/** Reads the rows that late answers are for, due or not. */
export async function readAnsweredRows(
  pool: Pool,
  searches: readonly RowSearch[],
): Promise<FoundRow[]> {
  const keys = searches.map(({ answer }) => answer);
  const result = await pool.query<RowColumns & { readonly event_id: string }>({
    name: 'read_answered_rows',
    text: `select wanted.nth::int as nth, parked.position, parked.attempt, parked.in_flight,
             parked.ordered, false as follows, event.event_id, event.tenant, event.invoice_id, event.sequence,
             event.type, event.recorded_at, event.traceparent, event.body
           from unnest($1::int[], $2::bigint[], $3::uuid[]) with ordinality
             as wanted (lane, position, endpoint_id, nth)
           join dispatcher.parked using (lane, position, endpoint_id)
           join dispatcher.parked_event as event using (lane, position)`,
    values: [
      integers(keys.map(({ lane }) => lane)),
      integers(keys.map(({ position }) => position)),
      words(keys.map(({ endpointId }) => endpointUuid(endpointId))),
    ],
  });
  const rows = new Map(result.rows.map((row) => [row.nth - 1, row]));
  return searches.map((search, index) => {
    const row = rows.get(index);
    return { search, row: row && rowOf(search.window.lane, row, row.event_id) };
  });
}

interface RowColumns {
  readonly nth: number;
  readonly position: bigint;
  readonly attempt: number;
  readonly in_flight: boolean;
  readonly ordered: boolean;
  readonly follows: boolean;
  readonly tenant: string;
  readonly invoice_id: string;
  readonly sequence: bigint;
  readonly type: string;
  readonly recorded_at: Date;
  readonly traceparent: string | null;
  readonly body: Buffer;
}

interface DueColumns extends RowColumns {
  readonly due_at: Date;
  /** The columns of the event are null in a row that is not due yet. */
  readonly event_id: string | null;
}

function resultOf(claim: Claim, columns: readonly DueColumns[]): ClaimResult {
  const rows: ClaimedRow[] = [];
  let nextDueAtMs: number | undefined;
  for (const row of columns) {
    if (row.event_id === null) nextDueAtMs ??= row.due_at.getTime();
    else rows.push(rowOf(claim.endpointLane.window.lane, row, row.event_id));
  }
  return { claim, rows, nextDueAtMs };
}

function rowOf(lane: number, row: RowColumns, eventUuid: string): ClaimedRow {
  const { attempt, in_flight: inFlight, ordered, follows } = row;
  return { event: eventOf(lane, row, eventUuid), attempt, inFlight, ordered, follows };
}

function eventOf(lane: number, row: RowColumns, eventUuid: string): LogEvent {
  return {
    lane,
    position: Number(row.position),
    id: eventIdOf(eventUuid),
    tenant: row.tenant,
    invoiceId: row.invoice_id,
    sequence: Number(row.sequence),
    type: row.type,
    recordedAtMs: row.recorded_at.getTime(),
    traceparent: row.traceparent ?? undefined,
    offset: undefined,
    body: row.body,
  };
}
