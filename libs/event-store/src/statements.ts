import { bytes, integers, texts, times, words, type Client } from '@billhook/postgres';

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
    readonly answer: Buffer;
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
    values: [integers(lanes)],
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
      integers([...lanes.keys()]),
      integers([...lanes.values()].map(({ position }) => position)),
      times([...lanes.values()].map(({ recordedAtMs }) => recordedAtMs)),
      texts(answers.map(({ tenant }) => tenant)),
      texts(answers.map(({ streamId }) => streamId)),
      texts(answers.map(({ requestId }) => requestId)),
      bytes(answers.map(({ requestHash }) => requestHash)),
      bytes(answers.map(({ answer }) => answer)),
      times(answers.map(({ recordedAtMs }) => recordedAtMs)),
      integers(events.map(({ lane }) => lane)),
      integers(events.map(({ position }) => position)),
      words(events.map(({ id }) => toUuid(id))),
      texts(events.map(({ tenant }) => tenant)),
      texts(events.map(({ streamId }) => streamId)),
      integers(events.map(({ version }) => version)),
      texts(events.map(({ type }) => type)),
      bytes(events.map(({ data }) => data)),
      texts(events.map(({ traceparent }) => traceparent)),
      times(events.map(({ recordedAtMs }) => recordedAtMs)),
    ],
  });
}
