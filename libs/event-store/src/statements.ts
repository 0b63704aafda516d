import type { Client } from '@billhook/postgres';

import type { StoredEvent, Stream } from './event-store.ts';
import { toUuid } from './event-id.ts';

/** Where a lane stands while its row is locked. */
export interface LaneState {
  position: number;
  /** When its last event was recorded; -Infinity for an empty lane. */
  readonly recordedAtMs: number;
}

/** What a batch adds. */
export interface WrittenBatch {
  readonly events: StoredEvent[];
  readonly answers: (Stream & {
    readonly requestId: string;
    readonly requestHash: Buffer;
    readonly answer: Uint8Array;
    readonly recordedAtMs: number;
  })[];
  /** How the lanes that got events stand now. */
  readonly lanes: Map<number, LaneState>;
}

/** Locks the rows of lanes, in ascending order, so that nobody else appends to them. */
export async function lockLanes(
  client: Client,
  schema: string,
  lanes: readonly number[],
): Promise<Map<number, LaneState>> {
  const result = await client.query<LaneColumns>({
    name: `lock_lanes_${schema}`,
    text: `select lane, position,
             (extract(epoch from recorded_at) * 1000)::float8 as recorded_at_ms
           from ${schema}.lane where lane = any($1::int[]) order by lane for update`,
    values: [lanes],
  });
  return new Map(
    result.rows.map((row) => [
      row.lane,
      { position: Number(row.position), recordedAtMs: row.recorded_at_ms },
    ]),
  );
}

interface LaneColumns {
  readonly lane: number;
  readonly position: bigint;
  readonly recorded_at_ms: number;
}

/** Writes events, answers and the lanes' positions in one statement. */
export async function writeBatch(
  client: Client,
  schema: string,
  { events, answers, lanes }: WrittenBatch,
): Promise<void> {
  await client.query({
    name: `write_batch_${schema}`,
    text: `with moved as (
             update ${schema}.lane
             set position = moved.position, recorded_at = moved.recorded_at
             from unnest($1::int[], $2::bigint[], $3::timestamptz[])
               as moved (lane, position, recorded_at)
             where lane.lane = moved.lane
           ), answered as (
             insert into ${schema}.answer
               (tenant, stream_id, request_id, request_hash, answer, recorded_at)
             select * from unnest($4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[],
               $9::timestamptz[])
           )
           insert into ${schema}.event (lane, position, id, tenant, stream_id, version, type, data,
             traceparent, recorded_at)
           select * from unnest($10::int[], $11::bigint[], $12::uuid[], $13::text[], $14::text[],
             $15::bigint[], $16::text[], $17::bytea[], $18::text[], $19::timestamptz[])`,
    values: [
      [...lanes.keys()],
      [...lanes.values()].map(({ position }) => position),
      [...lanes.values()].map(toTimestamp),
      answers.map(({ tenant }) => tenant),
      answers.map(({ streamId }) => streamId),
      answers.map(({ requestId }) => requestId),
      answers.map(({ requestHash }) => requestHash),
      answers.map(({ answer }) => Buffer.from(answer)),
      answers.map(toTimestamp),
      events.map(({ lane }) => lane),
      events.map(({ position }) => position),
      events.map(({ id }) => toUuid(id)),
      events.map(({ tenant }) => tenant),
      events.map(({ streamId }) => streamId),
      events.map(({ version }) => version),
      events.map(({ type }) => type),
      events.map(({ data }) => data),
      events.map(({ traceparent }) => traceparent ?? null),
      events.map(toTimestamp),
    ],
  });
}

function toTimestamp({ recordedAtMs }: { readonly recordedAtMs: number }): string {
  return new Date(recordedAtMs).toISOString();
}
