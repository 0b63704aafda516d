import type { LaneRequest, LaneSlice, LogRecord } from '../event-log.ts';

/** A row of the view `event_log`; without data it is the predecessor of a lane's slice. */
export interface EventLogRow {
  readonly asked: number;
  readonly lane: number;
  readonly position: number;
  readonly id: string;
  readonly tenant: string;
  readonly stream_id: string;
  readonly version: number;
  readonly type: string;
  readonly data: Buffer | null;
  readonly recorded_at_ms: number;
  readonly traceparent: string | null;
}

/**
 * Makes the one statement that reads any number of lanes: for each the event at `after` without
 * its data, and what follows up to the limit, or up to the bytes if that is less, but one event at
 * least. The length of a stored value is known without reading it. Numbers come as doubles, and so do
 * times, which cost less to read than what they are stored as: a position stays far below 2^53.
 *
 * Its values: lanes, positions to read after, limits, and the bytes for one lane.
 */
export function readLanesText(schema: string): string {
  return `
    select asked.ordinality::int as asked, slice.lane, slice.position::float8 as position, slice.id,
      slice.tenant, slice.stream_id, slice.version::float8 as version, slice.type, slice.data,
      (extract(epoch from slice.recorded_at) * 1000)::float8 as recorded_at_ms, slice.traceparent
    from unnest($1::int[], $2::bigint[], $3::int[]) with ordinality
         as asked (lane, after, at_most, ordinality)
    cross join lateral (
      select known.lane, known.position, known.id, known.tenant, known.stream_id, known.version,
             known.type, null::bytea as data, known.recorded_at, known.traceparent
      from ${schema}.event_log as known
      where known.lane = asked.lane and known.position = asked.after
      union all
      select lane, position, id, tenant, stream_id, version, type, data, recorded_at, traceparent
      from (
        select following.*,
               sum(octet_length(following.data)) over (order by following.position)
                 - octet_length(following.data) as bytes_before
        from (
          select * from ${schema}.event_log as logged
          where logged.lane = asked.lane and logged.position > asked.after
          order by logged.position
          limit asked.at_most
        ) as following
      ) as measured
      where measured.bytes_before < $4
    ) as slice
    order by asked.ordinality, slice.position`;
}

/** Puts the rows of an answer together as slices, one for each request. */
export function toSlices(
  requests: readonly LaneRequest[],
  rows: readonly EventLogRow[],
): LaneSlice[] {
  const byRequest: EventLogRow[][] = requests.map(() => []);
  for (const row of rows) byRequest[row.asked - 1]?.push(row);
  return requests.map(({ lane, after }, index) => {
    const found = byRequest[index] ?? [];
    const known = found.find((row) => row.data === null);
    return {
      lane,
      after,
      predecessor:
        known === undefined ? { kind: 'none' } : { kind: 'event', id: toEventId(known.id) },
      events: found.flatMap((row) => (row.data === null ? [] : [toRecord(row, row.data)])),
    };
  });
}

function toRecord(row: EventLogRow, data: Buffer): LogRecord {
  return {
    lane: row.lane,
    position: row.position,
    id: toEventId(row.id),
    tenant: row.tenant,
    streamId: row.stream_id,
    version: row.version,
    type: row.type,
    data,
    recordedAtMs: Math.floor(row.recorded_at_ms),
    traceparent: row.traceparent ?? undefined,
    offset: undefined,
  };
}

/** An event's id as the outside knows it, from the uuid that is stored. */
function toEventId(uuid: string): string {
  return `evt_${uuid.replaceAll('-', '')}`;
}
