import { integers, words, type Pool } from '@billhook/postgres';

import { endpointIdOf, endpointUuid } from './ids.ts';

/** Where owners hear that something is asked of one of them. */
export const REQUEST_CHANNEL = 'dispatcher_request';

/** Requests that are read at a time. */
export const READ_AT_MOST = 500;

/** What somebody asks of the owner of a lane: to send a delivery again, now. */
export interface StoredRequest {
  readonly requestId: string;
  readonly lane: number;
  readonly position: number;
  readonly endpointId: string;
  /** Attempts made so far, when the delivery is dead and has no row any more. */
  readonly reviveAttempt: number | undefined;
}

/** Asks the owners of lanes, whoever they are, to send deliveries again; what is asked already, once. */
export async function insertRequests(
  pool: Pool,
  requests: readonly Omit<StoredRequest, 'requestId'>[],
): Promise<void> {
  if (requests.length === 0) return;
  await pool.query({
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
           select pg_notify('${REQUEST_CHANNEL}', '') from added limit 1`,
    values: [
      integers(requests.map(({ lane }) => lane)),
      integers(requests.map(({ position }) => position)),
      words(requests.map(({ endpointId }) => endpointUuid(endpointId))),
      integers(requests.map(({ reviveAttempt }) => reviveAttempt)),
    ],
  });
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

/**
 * Reads what is asked of the owner of these lanes.
 *
 * @param without.known requests that it has already.
 * @param without.full where no dead delivery may become a row again yet.
 */
export async function readRequests(
  pool: Pool,
  lanes: readonly number[],
  without: { readonly known: readonly string[]; readonly full: readonly EndpointPlace[] },
): Promise<StoredRequest[]> {
  const { known, full } = without;
  const result = await pool.query<RequestColumns>({
    name: 'read_requests',
    text: `select id, lane, position, endpoint_id, revive_attempt from dispatcher.owner_request
           where lane = any($1::int[]) and id <> all($2::bigint[])
             and (revive_attempt is null or (lane, endpoint_id) not in (
               select * from unnest($3::int[], $4::uuid[])))
           order by id limit $5`,
    values: [
      lanes,
      known,
      integers(full.map(({ lane }) => lane)),
      words(full.map(({ endpointId }) => endpointUuid(endpointId))),
      READ_AT_MOST,
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
