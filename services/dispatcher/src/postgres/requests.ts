import { integers, words, type Pool } from '@billhook/postgres';

import { endpointIdOf, endpointUuid } from './ids.ts';

/** Where owners hear that something is asked of one of them. */
export const REQUEST_CHANNEL = 'dispatcher_request';

/** What somebody asks of the owner of a lane: to send a delivery again, now. */
export interface StoredRequest {
  readonly requestId: string;
  readonly lane: number;
  readonly position: number;
  readonly endpointId: string;
  /** Attempts made so far, when the delivery is dead and has no row any more. */
  readonly reviveAttempt: number | undefined;
}

/**
 * Asks the owners of lanes, whoever they are, to send deliveries again. Returns how many were not asked for
 * already; these are asked for once.
 */
export async function insertRequests(
  pool: Pool,
  requests: readonly Omit<StoredRequest, 'requestId'>[],
): Promise<number> {
  if (requests.length === 0) return 0;
  // Postgres tells it once, however many there are.
  const added = await pool.query({
    name: 'insert_requests',
    text: `with added as (
             insert into dispatcher.owner_request (lane, position, endpoint_id, revive_attempt)
             select * from unnest($1::int[], $2::bigint[], $3::uuid[], $4::int[])
               as asked (lane, position, endpoint_id, revive_attempt)
             where not exists (
               select from dispatcher.owner_request as earlier
               where earlier.endpoint_id = asked.endpoint_id and earlier.lane = asked.lane
                 and earlier.position = asked.position
                 and earlier.revive_attempt is not distinct from asked.revive_attempt)
             returning id)
           select pg_notify('${REQUEST_CHANNEL}', '') from added`,
    values: [
      integers(requests.map(({ lane }) => lane)),
      integers(requests.map(({ position }) => position)),
      words(requests.map(({ endpointId }) => endpointUuid(endpointId))),
      integers(requests.map(({ reviveAttempt }) => reviveAttempt)),
    ],
  });
  return added.rows.length;
}

/** Counts what is asked of an endpoint's deliveries and not carried out yet, up to a bound. */
export async function countRequests(
  pool: Pool,
  endpointId: string,
  atMost: number,
): Promise<number> {
  const result = await pool.query<{ readonly count: number }>(
    `select count(*)::int as count from (
       select from dispatcher.owner_request where endpoint_id = $1 limit $2) as request`,
    [endpointUuid(endpointId), atMost],
  );
  return result.rows[0]?.count ?? 0;
}

/** Names an endpoint in a lane. */
export type EndpointPlace = Pick<StoredRequest, 'lane' | 'endpointId'>;

/** Which requests are read: the oldest, but for some. */
export interface RequestQuery {
  readonly atMost: number;
  /** Requests that the owner has already. */
  readonly known: readonly string[];
  /** Lanes in which no dead delivery may become a row again yet. */
  readonly fullLanes: readonly number[];
  /** Endpoints of which, in a lane, no dead delivery may. */
  readonly fullEndpoints: readonly EndpointPlace[];
}

/** Reads what is asked of the owner of these lanes. */
export async function readRequests(
  pool: Pool,
  lanes: readonly number[],
  { atMost, known, fullLanes, fullEndpoints }: RequestQuery,
): Promise<StoredRequest[]> {
  const result = await pool.query<RequestColumns>({
    name: 'read_requests',
    text: `select id, lane, position, endpoint_id, revive_attempt from dispatcher.owner_request
           where lane = any($1::int[]) and id <> all($2::bigint[])
             and (revive_attempt is null
               or (lane <> all($3::int[]) and (lane, endpoint_id) not in (
                 select * from unnest($4::int[], $5::uuid[]))))
           order by id limit $6`,
    values: [
      lanes,
      known,
      fullLanes,
      integers(fullEndpoints.map(({ lane }) => lane)),
      words(fullEndpoints.map(({ endpointId }) => endpointUuid(endpointId))),
      atMost,
    ],
  });
  return result.rows.map((row) => ({
    requestId: String(row.id),
    lane: row.lane,
    position: Number(row.position),
    endpointId: endpointIdOf(row.endpoint_id),
    reviveAttempt: row.revive_attempt ?? undefined,
  }));
}

interface RequestColumns {
  readonly id: bigint;
  readonly lane: number;
  readonly position: bigint;
  readonly endpoint_id: string;
  readonly revive_attempt: number | null;
}
