import type { Client } from '@billhook/postgres';

import type { Stream } from './event-store.ts';
import { toUuid } from './event-id.ts';

/** Where a lane stands while its row is locked. */
export interface LaneState {
  position: number;
  /** When its last event was recorded; -Infinity for an empty lane. */
  readonly recordedAtMs: number;
}

/** What a batch adds. */
export interface WrittenBatch {
  readonly recordedAtMs: number;
  readonly events: {
    readonly lane: number;
    readonly position: number;
    readonly id: string;
    readonly tenant: string;
    readonly streamId: string;
    readonly version: number;
    readonly type: string;
    readonly data: Uint8Array;
    readonly traceparent: string | undefined;
  }[];
  readonly answers: (Stream & {
    readonly requestId: string;
    readonly requestHash: Buffer;
    readonly answer: Uint8Array;
  })[];
  /** The new positions of the lanes that got events. */
  readonly lanes: Map<number, number>;
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
  { events, answers, lanes, recordedAtMs }: WrittenBatch,
): Promise<void> {
  await client.query({
    name: `write_batch_${schema}`,
    text: `with moved as (
             update ${schema}.lane
             set position = moved.position, recorded_at = $1
             from unnest($2::int[], $3::bigint[]) as moved (lane, position)
             where lane.lane = moved.lane
           ), answered as (
             insert into ${schema}.answer
               (tenant, stream_id, request_id, request_hash, answer, recorded_at)
             select *, $1 from unnest($4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[])
           )
           insert into ${schema}.event (lane, position, id, tenant, stream_id, version, type, data,
             traceparent, recorded_at)
           select *, $1 from unnest($9::int[], $10::bigint[], $11::uuid[], $12::text[],
             $13::text[], $14::bigint[], $15::text[], $16::bytea[], $17::text[])`,
    values: [
      new Date(recordedAtMs),
      [...lanes.keys()],
      [...lanes.values()],
      answers.map(({ tenant }) => tenant),
      answers.map(({ streamId }) => streamId),
      answers.map(({ requestId }) => requestId),
      answers.map(({ requestHash }) => requestHash),
      answers.map(({ answer }) => Buffer.from(answer)),
      events.map(({ lane }) => lane),
      events.map(({ position }) => position),
      events.map(({ id }) => toUuid(id)),
      events.map(({ tenant }) => tenant),
      events.map(({ streamId }) => streamId),
      events.map(({ version }) => version),
      events.map(({ type }) => type),
      events.map(({ data }) => Buffer.from(data)),
      events.map(({ traceparent }) => traceparent ?? null),
    ],
  });
}
