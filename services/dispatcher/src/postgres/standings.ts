import { integers, texts, times, words, type Pool } from '@billhook/postgres';

import type { EndpointStanding } from '../engine/standings.ts';
import { endpointUuid } from './ids.ts';

/** How an endpoint stands in the eyes of one dispatcher. */
export interface StoredStanding extends Omit<EndpointStanding, 'endpointId'> {
  readonly dispatcherId: string;
  readonly notedAtMs: number;
}

/** What is known of an endpoint in all dispatchers. */
export interface EndpointStatus {
  readonly waiting: number;
  /** More waits in the log than has rows. */
  readonly hasCursor: boolean;
  /** Events behind its cursors that others have passed, and that were not read for it. */
  readonly unread: number;
  readonly oldestWaitingMs: number | undefined;
  readonly lastSuccessMs: number | undefined;
  readonly failingSinceMs: number | undefined;
  readonly standings: readonly StoredStanding[];
}

/** A dispatcher notes its standings anew more often than this, or is gone. */
const CURRENT_FOR = `interval '2 minutes'`;

/** Notes how endpoints stand in one dispatcher. */
export async function noteStandings(
  pool: Pool,
  dispatcherId: string,
  standings: readonly EndpointStanding[],
): Promise<void> {
  await pool.query({
    name: 'note_standings',
    text: `insert into dispatcher.endpoint_standing (dispatcher_id, endpoint_id, circuit, reason,
             broken_since, probe_at, concurrency_limit, in_flight, queued, lagging_lanes, cursor_lanes)
           select $1::uuid, * from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[],
             $6::timestamptz[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[])
           on conflict (endpoint_id, dispatcher_id) do update
           set circuit = excluded.circuit, reason = excluded.reason,
             broken_since = excluded.broken_since, probe_at = excluded.probe_at,
             concurrency_limit = excluded.concurrency_limit, in_flight = excluded.in_flight,
             queued = excluded.queued, lagging_lanes = excluded.lagging_lanes,
             cursor_lanes = excluded.cursor_lanes, noted_at = now()`,
    values: [
      dispatcherId,
      words(standings.map(({ endpointId }) => endpointUuid(endpointId))),
      words(standings.map(({ circuit }) => circuit)),
      texts(standings.map(({ reason }) => reason)),
      times(standings.map(({ brokenSinceMs }) => brokenSinceMs)),
      times(standings.map(({ probeAtMs }) => probeAtMs)),
      integers(standings.map(({ concurrencyLimit }) => concurrencyLimit)),
      integers(standings.map(({ inFlight }) => inFlight)),
      integers(standings.map(({ queued }) => queued)),
      integers(standings.map(({ laggingLanes }) => laggingLanes)),
      integers(standings.map(({ cursorLanes }) => cursorLanes)),
    ],
  });
}

/** Forgets what a dispatcher noted. */
export async function deleteStandings(pool: Pool, dispatcherId: string): Promise<void> {
  await pool.query('delete from dispatcher.endpoint_standing where dispatcher_id = $1', [
    dispatcherId,
  ]);
}

/** Forgets what dispatchers noted that have not confirmed it for long: those that were killed. */
export async function deleteStaleStandings(pool: Pool): Promise<void> {
  await pool.query(
    `delete from dispatcher.endpoint_standing where noted_at < now() - ${CURRENT_FOR}`,
  );
}

/** Reads how an endpoint stands. */
export async function readStatus(pool: Pool, endpointId: string): Promise<EndpointStatus> {
  const id = endpointUuid(endpointId);
  const status = await pool.query<StatusColumns>(
    `select waiting.rows, waiting.oldest_at, health.last_success_at, health.failing_since,
       backlog.cursors > 0 as has_cursor, backlog.events as unread
     from (
       select count(*) as cursors,
         coalesce(sum(greatest(0, progress - position)), 0)::float8 as events
       from dispatcher.cursor join dispatcher.lane_progress using (lane)
       where endpoint_id = $1
     ) as backlog, (
       select count(*)::int as rows, min(event.recorded_at) as oldest_at
       from dispatcher.parked left join dispatcher.parked_event as event using (lane, position)
       where parked.endpoint_id = $1
         and parked.lane in (select lane from dispatcher.lane_progress)
     ) as waiting
     left join dispatcher.endpoint_health as health on health.endpoint_id = $1`,
    [id],
  );
  const standings = await pool.query<StandingColumns>(
    `select * from dispatcher.endpoint_standing
     where endpoint_id = $1 and noted_at >= now() - ${CURRENT_FOR} order by dispatcher_id`,
    [id],
  );
  const row = status.rows[0];
  return {
    waiting: row?.rows ?? 0,
    hasCursor: row?.has_cursor ?? false,
    unread: row?.unread ?? 0,
    oldestWaitingMs: row?.oldest_at?.getTime(),
    lastSuccessMs: row?.last_success_at?.getTime(),
    failingSinceMs: row?.failing_since?.getTime(),
    standings: standings.rows.map(standingOf),
  };
}

/** Says whether more waits for an endpoint in the log than has rows. */
export async function hasCursor(pool: Pool, endpointId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from dispatcher.cursor join dispatcher.lane_progress using (lane)
     where endpoint_id = $1 limit 1`,
    [endpointUuid(endpointId)],
  );
  return rowCount === 1;
}

function standingOf(row: StandingColumns): StoredStanding {
  return {
    dispatcherId: row.dispatcher_id,
    notedAtMs: row.noted_at.getTime(),
    circuit: row.circuit,
    reason: row.reason ?? undefined,
    brokenSinceMs: row.broken_since?.getTime(),
    probeAtMs: row.probe_at?.getTime(),
    concurrencyLimit: row.concurrency_limit,
    inFlight: row.in_flight,
    queued: row.queued,
    laggingLanes: row.lagging_lanes,
    cursorLanes: row.cursor_lanes,
  };
}

interface StatusColumns {
  readonly rows: number;
  readonly oldest_at: Date | null;
  readonly last_success_at: Date | null;
  readonly failing_since: Date | null;
  readonly has_cursor: boolean;
  readonly unread: number;
}

interface StandingColumns {
  readonly dispatcher_id: string;
  readonly noted_at: Date;
  readonly circuit: EndpointStanding['circuit'];
  readonly reason: string | null;
  readonly broken_since: Date | null;
  readonly probe_at: Date | null;
  readonly concurrency_limit: number;
  readonly in_flight: number;
  readonly queued: number;
  readonly lagging_lanes: number;
  readonly cursor_lanes: number;
}
