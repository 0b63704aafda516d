import type { Client, Pool } from '@billhook/postgres';
import type { Disabling, Endpoint, EndpointKey } from '../domain/endpoint.ts';
import { fromUuid, toUuid } from './ids.ts';
import { LANE, SCHEMA } from './migrations.ts';

/**
 * An endpoint's columns; its subscriptions as three arrays in the order of the event names. When it
 * was renewed is what the event says: a column would have to be kept by processes of the version before.
 */
export const ENDPOINT_COLUMNS = `
  endpoint.endpoint_id, endpoint.tenant, endpoint.version, endpoint.url, endpoint.description,
  endpoint.header_names, endpoint.rate_limit_per_second, endpoint.timeout_ms,
  endpoint.max_in_flight, endpoint.circuit_failures, endpoint.circuit_longest_wait_ms,
  endpoint.paused, endpoint.disabled_reason, endpoint.disabled_at_ms, endpoint.created_at_ms,
  endpoint.updated_at_ms, endpoint.renewed_at_revision,
  (select floor(extract(epoch from recorded_at) * 1000)::bigint from ${SCHEMA}.event
    where lane = ${LANE} and position = renewed_at_revision) as renewed_at_ms,
  subscribed.events, subscribed.registered_at_ms, subscribed.filters`;

export const ENDPOINT_SOURCE = `
  ${SCHEMA}.endpoint
  cross join lateral (
    select coalesce(array_agg(event order by event), '{}') as events,
      coalesce(array_agg(registered_at_ms::text order by event), '{}') as registered_at_ms,
      coalesce(array_agg(filter order by event), '{}') as filters
    from ${SCHEMA}.subscription where subscription.endpoint_id = endpoint.endpoint_id
  ) as subscribed`;

/** `bigint` columns arrive as bigints. */
export interface EndpointRow {
  readonly endpoint_id: string;
  readonly tenant: string;
  readonly version: bigint;
  readonly url: string;
  readonly description: string;
  readonly header_names: readonly string[];
  readonly rate_limit_per_second: number | null;
  readonly timeout_ms: number | null;
  readonly max_in_flight: number | null;
  readonly circuit_failures: number | null;
  readonly circuit_longest_wait_ms: number | null;
  readonly paused: boolean;
  readonly disabled_reason: string | null;
  readonly disabled_at_ms: bigint | null;
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
  readonly renewed_at_revision: bigint;
  readonly renewed_at_ms: bigint | null;
  readonly events: readonly string[];
  readonly registered_at_ms: readonly string[];
  readonly filters: readonly (string | null)[];
}

/** A URL of a tenant. */
export interface TenantUrl {
  readonly tenant: string;
  readonly url: string;
}

/** Reads the endpoints that have one of the ids or one of the URLs, each once. */
export async function loadEndpoints(
  client: Client,
  wanted: { readonly keys: readonly EndpointKey[]; readonly urls: readonly TenantUrl[] },
): Promise<readonly Endpoint[]> {
  const { rows } = await client.query<EndpointRow>({
    name: 'load_endpoints',
    text: `
select ${ENDPOINT_COLUMNS}
from ${ENDPOINT_SOURCE}
where endpoint.endpoint_id in (
  select endpoint_id from ${SCHEMA}.endpoint
  join unnest($1::text[], $2::uuid[]) as wanted (tenant, endpoint_id) using (tenant, endpoint_id)
  union
  select endpoint_id from ${SCHEMA}.endpoint
  join unnest($3::text[], $4::text[]) as wanted (tenant, url) using (tenant, url))`,
    values: [
      wanted.keys.map(({ tenant }) => tenant),
      wanted.keys.map(({ endpointId }) => toUuid(endpointId)),
      wanted.urls.map(({ tenant }) => tenant),
      wanted.urls.map(({ url }) => url),
    ],
  });
  return rows.map(toEndpoint);
}

/**
 * Writes endpoints, new ones and changed ones, without their subscriptions. No name of a header
 * holds a space, so that a list of them travels as one text: Postgres flattens arrays of arrays.
 */
export async function saveEndpoints(client: Client, endpoints: readonly Endpoint[]): Promise<void> {
  await client.query({
    name: 'save_endpoints',
    text: `
insert into ${SCHEMA}.endpoint (endpoint_id, tenant, version, url, description, paused,
  disabled_reason, created_at_ms, updated_at_ms, renewed_at_revision, header_names,
  rate_limit_per_second, timeout_ms, max_in_flight, disabled_at_ms, circuit_failures,
  circuit_longest_wait_ms)
select endpoint_id, tenant, version, url, description, paused, disabled_reason, created_at_ms,
  updated_at_ms, renewed_at_revision, string_to_array(header_names, ' '), rate_limit_per_second,
  timeout_ms, max_in_flight, disabled_at_ms, circuit_failures, circuit_longest_wait_ms
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::boolean[],
  $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::double precision[],
  $13::integer[], $14::integer[], $15::bigint[], $16::integer[], $17::integer[])
  as saved (endpoint_id, tenant, version, url, description, paused, disabled_reason, created_at_ms,
    updated_at_ms, renewed_at_revision, header_names, rate_limit_per_second, timeout_ms,
    max_in_flight, disabled_at_ms, circuit_failures, circuit_longest_wait_ms)
on conflict (endpoint_id) do update set
  version = excluded.version,
  url = excluded.url,
  description = excluded.description,
  paused = excluded.paused,
  disabled_reason = excluded.disabled_reason,
  disabled_at_ms = excluded.disabled_at_ms,
  updated_at_ms = excluded.updated_at_ms,
  renewed_at_revision = excluded.renewed_at_revision,
  header_names = excluded.header_names,
  rate_limit_per_second = excluded.rate_limit_per_second,
  timeout_ms = excluded.timeout_ms,
  max_in_flight = excluded.max_in_flight,
  circuit_failures = excluded.circuit_failures,
  circuit_longest_wait_ms = excluded.circuit_longest_wait_ms`,
    values: [
      endpoints.map((endpoint) => toUuid(endpoint.endpointId)),
      endpoints.map((endpoint) => endpoint.tenant),
      endpoints.map((endpoint) => endpoint.version),
      endpoints.map((endpoint) => endpoint.url),
      endpoints.map((endpoint) => endpoint.description),
      endpoints.map((endpoint) => endpoint.paused),
      endpoints.map((endpoint) => endpoint.disabled?.reason ?? null),
      endpoints.map((endpoint) => endpoint.createdAtMs),
      endpoints.map((endpoint) => endpoint.updatedAtMs),
      endpoints.map((endpoint) => endpoint.renewedAtRevision),
      endpoints.map((endpoint) => endpoint.headerNames.join(' ')),
      endpoints.map((endpoint) => endpoint.rateLimitPerSecond),
      endpoints.map((endpoint) => endpoint.timeoutMs),
      endpoints.map((endpoint) => endpoint.maxInFlight),
      endpoints.map((endpoint) => endpoint.disabled?.sinceMs ?? null),
      endpoints.map((endpoint) => endpoint.circuitFailures),
      endpoints.map((endpoint) => endpoint.circuitLongestWaitMs),
    ],
  });
}

/** Gives endpoints exactly the subscriptions that they have. */
export async function saveSubscriptions(
  client: Client,
  endpoints: readonly Endpoint[],
): Promise<void> {
  const rows = endpoints.flatMap(({ endpointId, subscriptions }) =>
    subscriptions.map((subscription) => ({ uuid: toUuid(endpointId), ...subscription })),
  );
  await client.query({
    name: 'save_subscriptions',
    text: `
with kept as (
  insert into ${SCHEMA}.subscription (endpoint_id, event, registered_at_ms, filter)
  select * from unnest($2::uuid[], $3::text[], $4::bigint[], $5::text[])
  on conflict (endpoint_id, event) do update set
    registered_at_ms = excluded.registered_at_ms, filter = excluded.filter
  where (subscription.registered_at_ms, subscription.filter)
    is distinct from (excluded.registered_at_ms, excluded.filter))
delete from ${SCHEMA}.subscription
where endpoint_id = any($1::uuid[])
  and (endpoint_id, event) not in (select * from unnest($2::uuid[], $3::text[]))`,
    values: [
      endpoints.map(({ endpointId }) => toUuid(endpointId)),
      rows.map(({ uuid }) => uuid),
      rows.map(({ event }) => event),
      rows.map(({ registeredAtMs }) => registeredAtMs),
      rows.map(({ filter }) => filter),
    ],
  });
}

/** Removes endpoints and their subscriptions. */
export async function deleteEndpoints(
  client: Client,
  endpointIds: readonly string[],
): Promise<void> {
  await client.query({
    name: 'delete_endpoints',
    text: `delete from ${SCHEMA}.endpoint where endpoint_id = any($1::uuid[])`,
    values: [endpointIds.map(toUuid)],
  });
}

/** Removes every endpoint and subscription, but no secret. */
export async function deleteAllEndpoints(client: Client): Promise<void> {
  await client.query(`delete from ${SCHEMA}.endpoint`);
}

/** Reads one endpoint. */
export async function getEndpoint(
  pool: Pool,
  { tenant, endpointId }: EndpointKey,
): Promise<Endpoint | undefined> {
  const { rows } = await pool.query<EndpointRow>({
    name: 'get_endpoint',
    text: `
select ${ENDPOINT_COLUMNS} from ${ENDPOINT_SOURCE}
where endpoint.tenant = $1 and endpoint.endpoint_id = $2`,
    values: [tenant, toUuid(endpointId)],
  });
  return rows.map(toEndpoint)[0];
}

/** Reads the first endpoints of a tenant behind an id; `null` stands for the start. */
export async function selectEndpoints(
  pool: Pool,
  range: { readonly tenant: string; readonly after: string | null; readonly limit: number },
): Promise<readonly Endpoint[]> {
  const { rows } = await pool.query<EndpointRow>({
    name: 'select_endpoints',
    text: `
select ${ENDPOINT_COLUMNS} from ${ENDPOINT_SOURCE}
where endpoint.tenant = $1 and ($2::uuid is null or endpoint.endpoint_id > $2)
order by endpoint.endpoint_id
limit $3`,
    values: [range.tenant, range.after === null ? null : toUuid(range.after), range.limit],
  });
  return rows.map(toEndpoint);
}

/** Makes an endpoint of its row. */
export function toEndpoint(row: EndpointRow): Endpoint {
  return {
    tenant: row.tenant,
    endpointId: fromUuid(row.endpoint_id),
    version: Number(row.version),
    url: row.url,
    description: row.description,
    headerNames: row.header_names,
    rateLimitPerSecond: row.rate_limit_per_second,
    timeoutMs: row.timeout_ms,
    maxInFlight: row.max_in_flight,
    circuitFailures: row.circuit_failures,
    circuitLongestWaitMs: row.circuit_longest_wait_ms,
    paused: row.paused,
    disabled: toDisabling(row),
    subscriptions: row.events.map((event, index) => ({
      event,
      registeredAtMs: Number(row.registered_at_ms[index]),
      filter: row.filters[index] ?? null,
    })),
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
    renewedAtRevision: Number(row.renewed_at_revision),
    renewedAtMs: Number(row.renewed_at_ms),
  };
}

/** A process of the version before, beside this one during an upgrade, writes no time. */
function toDisabling(row: EndpointRow): Disabling | null {
  const { disabled_reason: reason, disabled_at_ms, updated_at_ms } = row;
  return reason === null ? null : { reason, sinceMs: Number(disabled_at_ms ?? updated_at_ms) };
}
