import { eventStoreMigrations } from '@billhook/event-store';
import type { Migration } from '@billhook/postgres';

/** The schema that this service owns: its event store, its read model and the secrets. */
export const SCHEMA = 'subscription';

/** All endpoints share one lane, so that its position is the revision of the whole set. */
export const LANES = 1;
export const LANE = 0;

/**
 * Endpoints and subscriptions as their events left them, written in the transaction of the events:
 * they can be made anew from them. Secrets cannot, so nothing there depends on the read model.
 *
 * Times are milliseconds since 1970. Texts are compared byte by byte. The URL is unique at the end
 * of a statement, not in its middle: endpoints may exchange their URLs in one batch.
 */
const createEndpointTables = `
create table ${SCHEMA}.endpoint (
  endpoint_id uuid primary key,
  tenant text collate "C" not null,
  version bigint not null check (version > 0),
  url text collate "C" not null,
  description text not null,
  paused boolean not null,
  disabled_reason text,
  created_at_ms bigint not null,
  updated_at_ms bigint not null,
  renewed_at_revision bigint not null,
  unique (tenant, endpoint_id),
  unique (tenant, url) deferrable initially immediate
);
create table ${SCHEMA}.subscription (
  endpoint_id uuid not null references ${SCHEMA}.endpoint on delete cascade,
  event text collate "C" not null,
  registered_at_ms bigint not null,
  primary key (endpoint_id, event)
);
create table ${SCHEMA}.secret (
  secret_id bigint generated always as identity primary key,
  endpoint_id uuid not null,
  ciphertext bytea not null,
  created_at timestamptz not null default now(),
  valid_until_ms bigint
);
create index secret_by_endpoint on ${SCHEMA}.secret (endpoint_id, secret_id);
create index secret_by_expiry on ${SCHEMA}.secret (valid_until_ms) where valid_until_ms is not null;
create table ${SCHEMA}.key_check (
  only_row boolean primary key default true check (only_row),
  check_value bytea not null
);`;

/** Headers are kept like secrets: encrypted, and apart from the read model. */
const addEndpointSettings = `
alter table ${SCHEMA}.endpoint
  add column header_names text[] not null default '{}',
  add column rate_limit_per_second double precision,
  add column timeout_ms integer,
  add column max_in_flight integer;
create table ${SCHEMA}.headers (
  endpoint_id uuid primary key,
  ciphertext bytea not null
);`;

/** The text of the condition as it is read back: its fields in order. */
const addSubscriptionFilters = `
alter table ${SCHEMA}.subscription add column filter text;`;

/** Of endpoints that are disabled already, their events know since when. */
const addDisablingTime = `
alter table ${SCHEMA}.endpoint add column disabled_at_ms bigint;
update ${SCHEMA}.endpoint set disabled_at_ms = (
  select floor(extract(epoch from event.recorded_at) * 1000) from ${SCHEMA}.event
  where event.tenant = endpoint.tenant
    and event.stream_id = 'ep_' || replace(endpoint.endpoint_id::text, '-', '')
    and event.type = 'endpoint_disabled'
  order by event.version desc limit 1)
where disabled_reason is not null;`;

const addCircuitSettings = `
alter table ${SCHEMA}.endpoint
  add column circuit_failures integer,
  add column circuit_longest_wait_ms integer;`;

export const migrations: readonly Migration[] = [
  ...eventStoreMigrations(SCHEMA),
  { number: 2, name: 'endpoints', sql: createEndpointTables },
  { number: 3, name: 'endpoint_settings', sql: addEndpointSettings },
  { number: 4, name: 'subscription_filters', sql: addSubscriptionFilters },
  { number: 5, name: 'disabling_time', sql: addDisablingTime },
  { number: 6, name: 'circuit_settings', sql: addCircuitSettings },
];
