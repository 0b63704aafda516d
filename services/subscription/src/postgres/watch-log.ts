import type { Pool } from '@billhook/postgres';
import type { History, Place } from '../grpc/watch.ts';
import type { EndpointWithSecrets } from '../protobuf/endpoint-message.ts';
import { ENDPOINT_COLUMNS, ENDPOINT_SOURCE, toEndpoint } from './endpoint-table.ts';
import type { EndpointRow } from './endpoint-table.ts';
import { toUuid } from './ids.ts';
import { LANE, SCHEMA } from './migrations.ts';

const EVENT_ID_PREFIX = 'evt_';

/** Reads where the history ends. */
export async function readLatestPlace(pool: Pool): Promise<Place> {
  const { rows } = await pool.query<PlaceRow>({
    name: 'read_latest_place',
    text: `
select lane.position, event_log.id
from ${SCHEMA}.lane left join ${SCHEMA}.event_log using (lane, position)
where lane = ${LANE}`,
  });
  const [latest] = rows;
  return {
    revision: Number(latest?.position),
    eventId: latest?.id ? toEventId(latest.id) : '',
  };
}

/** Reads at most `limit` events after a place. */
export async function readHistory(pool: Pool, after: Place, limit: number): Promise<History> {
  const { rows } = await pool.query<EventRow>({
    name: 'read_history',
    text: `
select position, id, stream_id from ${SCHEMA}.event_log
where lane = ${LANE} and position >= $1 order by position limit $2`,
    values: [after.revision, limit + 1],
  });
  const isKnown =
    after.revision === 0
      ? after.eventId === ''
      : rows[0] !== undefined && toPlace(rows[0]).eventId === after.eventId;
  if (!isKnown) {
    return { kind: 'unknown' };
  }
  const events = after.revision === 0 ? rows : rows.slice(1);
  const last = events.at(-1);
  return {
    kind: 'known',
    reached: last === undefined ? after : toPlace(last),
    endpointIds: [...new Set(events.map((event) => event.stream_id))],
  };
}

/** Reads those of the endpoints that still exist, as they are now. */
export async function readWatchedEndpoints(
  pool: Pool,
  endpointIds: readonly string[],
): Promise<readonly EndpointWithSecrets[]> {
  const { rows } = await pool.query<WatchedRow>({
    name: 'read_watched_endpoints',
    text: `
select ${WATCHED_COLUMNS} from ${WATCHED_SOURCE}
where endpoint.endpoint_id = any($1::uuid[])`,
    values: [endpointIds.map(toUuid)],
  });
  return rows.map(toWatched);
}

/** Reads endpoints of all tenants behind an id, in the order of their ids; `null`: from the start. */
export async function readWatchedPage(
  pool: Pool,
  after: string | null,
  limit: number,
): Promise<readonly EndpointWithSecrets[]> {
  const { rows } = await pool.query<WatchedRow>({
    name: 'read_watched_page',
    text: `
select ${WATCHED_COLUMNS} from ${WATCHED_SOURCE}
where $1::uuid is null or endpoint.endpoint_id > $1
order by endpoint.endpoint_id
limit $2`,
    values: [after === null ? null : toUuid(after), limit],
  });
  return rows.map(toWatched);
}

/** The secrets that are valid now, the newest first, and the headers. */
const WATCHED_SOURCE = `
  ${ENDPOINT_SOURCE}
  left join ${SCHEMA}.headers on headers.endpoint_id = endpoint.endpoint_id
  cross join lateral (
    select coalesce(array_agg(ciphertext order by secret_id desc), '{}') as ciphertexts,
      coalesce(array_agg(valid_until_ms::text order by secret_id desc), '{}') as valid_until_ms
    from ${SCHEMA}.secret
    where secret.endpoint_id = endpoint.endpoint_id
      and (valid_until_ms is null or valid_until_ms > extract(epoch from now()) * 1000)
  ) as valid`;

const WATCHED_COLUMNS = `
  ${ENDPOINT_COLUMNS}, valid.ciphertexts, valid.valid_until_ms,
  headers.ciphertext as encrypted_headers`;

interface WatchedRow extends EndpointRow {
  readonly ciphertexts: readonly Buffer[];
  readonly valid_until_ms: readonly (string | null)[];
  readonly encrypted_headers: Buffer | null;
}

interface PlaceRow {
  readonly position: bigint;
  readonly id: string | null;
}

interface EventRow {
  readonly position: bigint;
  readonly id: string;
  readonly stream_id: string;
}

function toWatched(row: WatchedRow): EndpointWithSecrets {
  const secrets = row.ciphertexts.map((ciphertext, index) => {
    const validUntilMs = row.valid_until_ms[index] ?? null;
    return { ciphertext, validUntilMs: validUntilMs === null ? null : Number(validUntilMs) };
  });
  return { endpoint: toEndpoint(row), secrets, encryptedHeaders: row.encrypted_headers };
}

function toPlace({ position, id }: EventRow): Place {
  return { revision: Number(position), eventId: toEventId(id) };
}

function toEventId(uuid: string): string {
  return EVENT_ID_PREFIX + uuid.replaceAll('-', '');
}
