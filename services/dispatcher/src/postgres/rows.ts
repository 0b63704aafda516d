import { bytes, flags, integers, texts, times, words, type Client } from '@billhook/postgres';

import type { LaneRecording, ParkedRow, RowKey } from '../engine/recording.ts';
import { endpointIdOf, endpointUuid, eventUuid } from './ids.ts';

/** Names the event of a row. */
export interface EventKey {
  readonly lane: number;
  readonly position: number;
}

/** Deletes settled rows and makes the next of each of their pairs due. */
export async function deleteRows(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<EventKey[]> {
  const settled = lanes.flatMap(({ lane, settledRows }) =>
    settledRows.map((row) => ({ ...row, lane })),
  );
  if (settled.length === 0) return [];
  const result = await client.query<PairColumns>({
    name: 'delete_rows',
    text: `delete from dispatcher.parked
           using unnest($1::int[], $2::bigint[], $3::uuid[])
             as settled (lane, position, endpoint_id)
           where parked.lane = settled.lane and parked.position = settled.position
             and parked.endpoint_id = settled.endpoint_id
           returning parked.lane, parked.endpoint_id, parked.invoice_id`,
    values: [
      integers(settled.map(({ lane }) => lane)),
      integers(settled.map(({ position }) => position)),
      words(settled.map(({ endpointId }) => endpointUuid(endpointId))),
    ],
  });
  await makeNextDue(client, result.rows);
  return settled;
}

/** Names the pair of a row. */
export interface PairColumns {
  readonly lane: number;
  readonly endpoint_id: string;
  readonly invoice_id: string;
}

/** Makes the oldest row of each pair due, unless it is. */
export async function makeNextDue(client: Client, pairs: readonly PairColumns[]): Promise<void> {
  if (pairs.length === 0) return;
  await client.query({
    name: 'make_next_due',
    text: `update dispatcher.parked
           set due_at = not_before
           from (
             select pair.lane, pair.endpoint_id, oldest.position
             from unnest($1::int[], $2::uuid[], $3::text[]) as pair (lane, endpoint_id, invoice_id)
             cross join lateral (
               select behind.position
               from dispatcher.parked as behind
               where behind.lane = pair.lane and behind.endpoint_id = pair.endpoint_id
                 and behind.invoice_id = pair.invoice_id and behind.ordered
               order by behind.position
               limit 1
             ) as oldest
           ) as next
           where parked.lane = next.lane and parked.position = next.position
             and parked.endpoint_id = next.endpoint_id and parked.due_at is null`,
    values: [
      integers(pairs.map(({ lane }) => lane)),
      words(pairs.map(({ endpoint_id }) => endpoint_id)),
      words(pairs.map(({ invoice_id }) => invoice_id)),
    ],
  });
}

/** Notes attempts of rows that failed or are still under way, and when the next ones are due. */
export async function retryRows(client: Client, lanes: readonly LaneRecording[]): Promise<void> {
  const retried = lanes.flatMap(({ lane, retriedRows }) =>
    retriedRows.map((row) => ({ ...row, lane })),
  );
  if (retried.length === 0) return;
  await client.query({
    name: 'retry_rows',
    text: `update dispatcher.parked
           set attempt = retried.attempt, in_flight = retried.in_flight,
             not_before = retried.not_before, due_at = retried.not_before
           from unnest($1::int[], $2::bigint[], $3::uuid[], $4::int[], $5::boolean[],
               $6::timestamptz[])
             as retried (lane, position, endpoint_id, attempt, in_flight, not_before)
           where parked.lane = retried.lane and parked.position = retried.position
             and parked.endpoint_id = retried.endpoint_id`,
    values: [
      integers(retried.map(({ lane }) => lane)),
      integers(retried.map(({ position }) => position)),
      words(retried.map(({ endpointId }) => endpointUuid(endpointId))),
      integers(retried.map(({ attempt }) => attempt)),
      flags(retried.map(({ inFlight }) => inFlight)),
      times(retried.map(({ notBeforeMs }) => notBeforeMs)),
    ],
  });
}

/** Parks deliveries. A row is due only if it is the oldest undelivered one of its pair. */
export async function insertRows(client: Client, lanes: readonly LaneRecording[]): Promise<void> {
  await park(
    client,
    lanes.flatMap(({ parkedRows }) => parkedRows),
  );
}

/** Returns the rows that were not there before. */
async function park(client: Client, rows: readonly ParkedRow[]): Promise<LaneRowKey[]> {
  if (rows.length === 0) return [];
  await insertEvents(client, rows);
  const result = await client.query<RowColumns>({
    name: 'insert_rows',
    text: `insert into dispatcher.parked (lane, position, endpoint_id, invoice_id, attempt,
             in_flight, not_before, ordered, due_at)
           select lane, position, endpoint_id, invoice_id, attempt, in_flight, not_before, ordered,
             case
               when not ordered then not_before
               when nth > 1 then null
               when exists (
                 select from dispatcher.parked as older
                 where older.lane = added.lane and older.endpoint_id = added.endpoint_id
                   and older.invoice_id = added.invoice_id and older.ordered
               ) then null
               else not_before
             end
           from (
             select *, row_number() over (
                 partition by lane, endpoint_id, invoice_id, ordered order by position
               ) as nth
             from unnest($1::int[], $2::bigint[], $3::uuid[], $4::text[], $5::int[],
               $6::boolean[], $7::timestamptz[], $8::boolean[])
               as row (lane, position, endpoint_id, invoice_id, attempt, in_flight, not_before,
                 ordered)
           ) as added
           on conflict do nothing
           returning lane, position, endpoint_id`,
    values: [
      integers(rows.map(({ event }) => event.lane)),
      integers(rows.map(({ event }) => event.position)),
      words(rows.map(({ endpointId }) => endpointUuid(endpointId))),
      words(rows.map(({ event }) => event.invoiceId)),
      integers(rows.map(({ attempt }) => attempt)),
      flags(rows.map(({ inFlight }) => inFlight)),
      times(rows.map(({ notBeforeMs }) => notBeforeMs)),
      flags(rows.map(({ ordered }) => ordered)),
    ],
  });
  return result.rows.map((row) => ({
    lane: row.lane,
    position: Number(row.position),
    endpointId: endpointIdOf(row.endpoint_id),
  }));
}

/** Names a row in all lanes. */
export interface LaneRowKey extends RowKey {
  readonly lane: number;
}

interface RowColumns {
  readonly lane: number;
  readonly position: bigint;
  readonly endpoint_id: string;
}

/** The body is stored once per event, however many endpoints wait for it. */
async function insertEvents(client: Client, rows: readonly ParkedRow[]): Promise<void> {
  const events = [...new Set(rows.map(({ event }) => event))];
  await client.query({
    name: 'insert_parked_events',
    text: `insert into dispatcher.parked_event (lane, position, event_id, tenant, invoice_id,
             sequence, type, recorded_at, traceparent, body)
           select * from unnest($1::int[], $2::bigint[], $3::uuid[], $4::text[], $5::text[],
             $6::bigint[], $7::text[], $8::timestamptz[], $9::text[], $10::bytea[])
           on conflict do nothing`,
    values: [
      integers(events.map(({ lane }) => lane)),
      integers(events.map(({ position }) => position)),
      words(events.map(({ id }) => eventUuid(id))),
      words(events.map(({ tenant }) => tenant)),
      words(events.map(({ invoiceId }) => invoiceId)),
      integers(events.map(({ sequence }) => sequence)),
      words(events.map(({ type }) => type)),
      times(events.map(({ recordedAtMs }) => recordedAtMs)),
      texts(events.map(({ traceparent }) => traceparent)),
      bytes(events.map(({ body }) => body)),
    ],
  });
}

/**
 * Carries out what was asked of the owners of the lanes, and takes the requests away. What is retried
 * by hand goes before all that is due, unless an attempt is under way: nobody sends again before its
 * deadline.
 *
 * @returns the rows that were made anew.
 */
export async function carryOut(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<LaneRowKey[]> {
  const requests = lanes.flatMap(({ lane, carriedOut }) =>
    carriedOut.map((request) => ({ lane, request })),
  );
  if (requests.length === 0) return [];
  const revivals = requests.flatMap(({ request }) =>
    request.kind === 'revive' ? [request.row] : [],
  );
  const revived = await park(client, await stillDead(client, revivals));
  const retried = requests.flatMap(({ lane, request }) =>
    request.kind === 'retry_now' ? [{ ...request.row, lane }] : [],
  );
  await client.query(
    `update dispatcher.parked set not_before = 'epoch', due_at = 'epoch'
     from unnest($1::int[], $2::bigint[], $3::uuid[]) as retried (lane, position, endpoint_id)
     where parked.lane = retried.lane and parked.position = retried.position
       and parked.endpoint_id = retried.endpoint_id and parked.due_at is not null
       and not parked.in_flight`,
    [
      integers(retried.map(({ lane }) => lane)),
      integers(retried.map(({ position }) => position)),
      words(retried.map(({ endpointId }) => endpointUuid(endpointId))),
    ],
  );
  await client.query('delete from dispatcher.owner_request where id = any($1::bigint[])', [
    requests.map(({ request }) => request.requestId),
  ]);
  return revived;
}

/** One that was asked for twice may have been delivered meanwhile. */
async function stillDead(client: Client, rows: readonly ParkedRow[]): Promise<ParkedRow[]> {
  if (rows.length === 0) return [];
  const result = await client.query<{ readonly nth: number }>({
    name: 'read_still_dead',
    text: `select wanted.nth::int as nth
           from unnest($1::uuid[], $2::uuid[]) with ordinality as wanted (endpoint_id, event_id, nth)
           cross join lateral (
             select attempt.settlement from dispatcher.attempt
             where attempt.endpoint_id = wanted.endpoint_id and attempt.event_id = wanted.event_id
               and attempt.settlement is not null
             order by attempt.recorded_at desc
             limit 1
           ) as newest
           where newest.settlement = 'dead'`,
    values: [
      words(rows.map(({ endpointId }) => endpointUuid(endpointId))),
      words(rows.map(({ event }) => eventUuid(event.id))),
    ],
  });
  const dead = new Set(result.rows.map(({ nth }) => nth - 1));
  return rows.filter((_, index) => dead.has(index));
}

/** Deletes the events for which nobody waits any more. */
export async function sweepEvents(client: Client, keys: readonly EventKey[]): Promise<void> {
  if (keys.length === 0) return;
  await client.query({
    name: 'sweep_parked_events',
    text: `delete from dispatcher.parked_event
           using unnest($1::int[], $2::bigint[]) as swept (lane, position)
           where parked_event.lane = swept.lane and parked_event.position = swept.position
             and not exists (
               select from dispatcher.parked
               where parked.lane = swept.lane and parked.position = swept.position)`,
    values: [
      integers(keys.map(({ lane }) => lane)),
      integers(keys.map(({ position }) => position)),
    ],
  });
}
