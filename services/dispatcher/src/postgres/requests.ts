import type { Pool } from '@billhook/postgres';

import { endpointIdOf, endpointUuid } from './ids.ts';

/** Where owners hear that something is asked of one of them. */
export const REQUEST_CHANNEL = 'dispatcher_request';

/** Requests that are read at a time. */
const READ_AT_MOST = 500;

/** What somebody asks of the owner of a lane: to send a delivery again, now. */
export interface StoredRequest {
  readonly requestId: string;
  readonly lane: number;
  readonly position: number;
  readonly endpointId: string;
  /** Attempts made so far, when the delivery is dead and has no row any more. */
  readonly reviveAttempt: number | undefined;
}

/** Asks the owner of a lane, whoever it is, to send a delivery again. */
export async function insertRequest(
  pool: Pool,
  request: Omit<StoredRequest, 'requestId'>,
): Promise<void> {
  await pool.query(
    `with added as (
       insert into dispatcher.owner_request (lane, position, endpoint_id, revive_attempt)
       values ($1, $2, $3, $4)
       returning id)
     select pg_notify('${REQUEST_CHANNEL}', '') from added`,
    [
      request.lane,
      request.position,
      endpointUuid(request.endpointId),
      request.reviveAttempt ?? null,
    ],
  );
}

/** Reads what is asked of the owner of these lanes, without what it has already. */
export async function readRequests(
  pool: Pool,
  lanes: readonly number[],
  known: readonly string[],
): Promise<StoredRequest[]> {
  const result = await pool.query<RequestColumns>({
    name: 'read_requests',
    text: `select id, lane, position, endpoint_id, revive_attempt from dispatcher.owner_request
           where lane = any($1::int[]) and id <> all($2::bigint[]) order by id limit $3`,
    values: [lanes, known, READ_AT_MOST],
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
