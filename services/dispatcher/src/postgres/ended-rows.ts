import { integers, times, words, type Client } from '@billhook/postgres';

import type { EndReason, Settlement } from '../engine/delivery.ts';
import type { EndedRows, LaneRecording } from '../engine/recording.ts';
import { endpointIdOf, endpointUuid } from './ids.ts';
import { makeNextDue, type EventKey, type PairColumns } from './rows.ts';

/** Rows that are cancelled, and rows that die, in one recording: those of all lanes together. */
const END_AT_MOST = 1_000;

/** What ended with a recording. */
export interface EndedByLane {
  readonly ofLanes: ReadonlyMap<number, readonly EndedRows[]>;
  readonly events: readonly EventKey[];
}

/** The rows of an endpoint in a lane that are to end. */
interface Ending {
  readonly lane: number;
  readonly endpointId: string;
  /** Of events before this position. */
  readonly before: number;
}

/** Cancels rows of unregistered endpoints, up to a bound, and says so in the delivery log. */
export async function cancelRows(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<EndedByLane> {
  const endings = lanes.flatMap(({ lane, cancelEndpoints }) =>
    cancelEndpoints.map((endpointId) => ({ lane, endpointId, before: Number.MAX_SAFE_INTEGER })),
  );
  const rows = await endRows(client, endings, { settlement: 'cancelled', reason: 'unregistered' });
  return byLane(endings, rows);
}

/** Lets rows die that waited for too long, up to a bound, and says so in the delivery log. */
export async function expireRows(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<EndedByLane> {
  const expiring = lanes.filter(({ expireEndpoints }) => expireEndpoints.length > 0);
  const ends = await readEndsOfOld(client, expiring);
  const endings = expiring.flatMap(({ lane, expireEndpoints }) => {
    const before = ends.get(lane);
    if (before === undefined) return [];
    return expireEndpoints.map((endpointId) => ({ lane, endpointId, before }));
  });
  const rows = await endRows(client, endings, { settlement: 'dead', reason: 'waited too long' });
  await makeNextDue(client, rows);
  return byLane(endings, rows);
}

/**
 * Reads where the events of lanes begin that are young enough. Later events of a lane are never
 * dated earlier, so that what is read is one event more than are too old: as a rule one.
 *
 * @returns the position for each lane that has older events.
 */
async function readEndsOfOld(
  client: Client,
  lanes: readonly LaneRecording[],
): Promise<Map<number, number>> {
  if (lanes.length === 0) return new Map();
  const result = await client.query<{ readonly lane: number; readonly young_from: bigint | null }>({
    name: 'read_ends_of_old',
    text: `select kept.lane, (
             select young.position from dispatcher.parked_event as young
             where young.lane = kept.lane and young.recorded_at >= kept.since
             order by young.position limit 1
           ) as young_from
           from unnest($1::int[], $2::timestamptz[]) as kept (lane, since)
           where kept.since > (
             select oldest.recorded_at from dispatcher.parked_event as oldest
             where oldest.lane = kept.lane
             order by oldest.position limit 1)`,
    values: [
      integers(lanes.map(({ lane }) => lane)),
      times(lanes.map(({ expireBeforeMs }) => expireBeforeMs)),
    ],
  });
  return new Map(
    result.rows.map((row) => [row.lane, Number(row.young_from ?? Number.MAX_SAFE_INTEGER)]),
  );
}

interface EndedColumns extends PairColumns {
  readonly position: bigint;
}

async function endRows(
  client: Client,
  endings: readonly Ending[],
  { settlement, reason }: { readonly settlement: Settlement; readonly reason: EndReason },
): Promise<EndedColumns[]> {
  if (endings.length === 0) return [];
  const result = await client.query<EndedColumns>({
    name: 'end_rows',
    text: `with ended as (
             delete from dispatcher.parked where ctid = any (array(
               select row.ctid
               from unnest($1::int[], $2::uuid[], $3::bigint[])
                 as ending (lane, endpoint_id, before)
               cross join lateral (
                 select parked.ctid from dispatcher.parked
                 where parked.lane = ending.lane and parked.endpoint_id = ending.endpoint_id
                   and parked.position < ending.before and (parked.ordered or not $7)
                 limit $4
               ) as row
               limit $4))
             returning lane, position, endpoint_id, attempt
           )
           insert into dispatcher.attempt (endpoint_id, event_id, attempt, lane, position, tenant,
             invoice_id, type, sequence, started_at, duration_ms, detail, settlement)
           select endpoint_id, event_id, attempt, lane, position, tenant, event.invoice_id, type,
             sequence, now(), 0, $5, $6
           from ended join dispatcher.parked_event as event using (lane, position)
           returning lane, position, endpoint_id, invoice_id`,
    values: [
      integers(endings.map(({ lane }) => lane)),
      words(endings.map(({ endpointId }) => endpointUuid(endpointId))),
      integers(endings.map(({ before }) => before)),
      END_AT_MOST,
      reason,
      settlement,
      // Whoever retries by hand wants it sent, however old it is.
      settlement === 'dead',
    ],
  });
  return result.rows;
}

/** Says of each endpoint what ended. Whoever comes too late for the bound is asked for again. */
function byLane(endings: readonly Ending[], columns: readonly EndedColumns[]): EndedByLane {
  const isAll = columns.length < END_AT_MOST;
  const events = columns.map(({ lane, position }) => ({ lane, position: Number(position) }));
  const counts = new Map<string, number>();
  for (const { lane, endpoint_id } of columns) {
    const key = `${lane} ${endpointIdOf(endpoint_id)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const ofLanes = new Map<number, EndedRows[]>();
  for (const { lane, endpointId } of endings) {
    const ended = ofLanes.get(lane) ?? [];
    ended.push({ endpointId, rows: counts.get(`${lane} ${endpointId}`) ?? 0, isAll });
    ofLanes.set(lane, ended);
  }
  return { ofLanes, events };
}
