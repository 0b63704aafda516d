import { laneLeaseMigrations } from '@billhook/lane-leases';
import type { Migration } from '@billhook/postgres';

/** The schema that the dispatcher owns. */
export const SCHEMA = 'dispatcher';

/**
 * The tables of the dispatcher.
 *
 * - `lane_progress`: up to where each lane is settled or parked, and what is settled above it.
 * - `parked`, `parked_event`: what waits. Small and hot: a settled row is deleted.
 * - `cursor`: from where on rows are still to be made for an endpoint with a large backlog.
 * - `endpoint_health`, `endpoint_standing`: how endpoints did, and how they stand in each process.
 * - `attempt`: the delivery log, append-only, a partition a day.
 * - `owner_request`: what others ask of the owner of a lane.
 * - `late_answer`: what a former owner of a lane was answered after it gave the lane up.
 */
export const migrations: readonly Migration[] = [
  ...laneLeaseMigrations(SCHEMA),
  {
    number: 2,
    name: 'deliveries',
    sql: `
      create table dispatcher.lane_progress (
        lane integer primary key,
        progress bigint not null default 0,
        -- Settled above progress: [[position, endpoint id], ...].
        settled_ahead jsonb not null default '[]',
        -- Which recording was written last, so that a repeat after an unknown outcome is noticed.
        recording_epoch bigint not null default 0,
        recording_number bigint not null default 0
      ) with (fillfactor = 50);

      create table dispatcher.parked_event (
        lane integer not null,
        position bigint not null,
        event_id uuid not null,
        tenant text not null,
        invoice_id text not null,
        sequence bigint not null,
        type text not null,
        recorded_at timestamptz not null,
        traceparent text,
        body bytea not null,
        primary key (lane, position)
      );
      create index parked_event_by_id on dispatcher.parked_event (event_id);

      create table dispatcher.parked (
        lane integer not null,
        position bigint not null,
        endpoint_id uuid not null,
        invoice_id text not null,
        attempt integer not null,
        -- No attempt before this time, whatever it waits behind.
        not_before timestamptz not null,
        -- Null while an older row of the same endpoint and invoice is undelivered.
        due_at timestamptz,
        -- False for what was dead and is retried by hand: it is outside the order of its pair.
        ordered boolean not null,
        primary key (lane, position, endpoint_id)
      );
      create index parked_due on dispatcher.parked (lane, endpoint_id, due_at)
        where due_at is not null;
      create index parked_pair on dispatcher.parked (lane, endpoint_id, invoice_id, position)
        where ordered;

      create table dispatcher.attempt (
        recorded_at timestamptz not null default now(),
        endpoint_id uuid not null,
        event_id uuid not null,
        attempt integer not null,
        lane integer not null,
        position bigint not null,
        tenant text not null,
        invoice_id text not null,
        type text not null,
        sequence bigint not null,
        started_at timestamptz not null,
        duration_ms integer not null,
        -- Null for a settlement without an attempt.
        outcome text,
        status integer,
        detail text,
        -- Null while the delivery goes on.
        settlement text
      ) partition by range (recorded_at);
      create index attempt_by_endpoint on dispatcher.attempt (endpoint_id, event_id);
      create index attempt_undelivered on dispatcher.attempt (endpoint_id, event_id)
        where settlement <> 'delivered';
      create table dispatcher.attempt_default partition of dispatcher.attempt default;

      create table dispatcher.owner_request (
        id bigint generated always as identity primary key,
        lane integer not null,
        position bigint not null,
        endpoint_id uuid not null,
        -- Set when the delivery has no row any more.
        revive_attempt integer
      );`,
  },
  {
    number: 3,
    name: 'event_at_progress',
    sql: `
      alter table dispatcher.lane_progress
        -- The event that stands at progress, so that another one there is noticed; null at 0.
        add column progress_event_id uuid,
        -- Where Kafka keeps it: a hint, the position decides. Null in the store's own log.
        add column progress_offset bigint;`,
  },
  {
    number: 4,
    name: 'late_answers',
    sql: `
      -- The last attempt was under way when its lane was given up, and its answer has not come.
      alter table dispatcher.parked add column in_flight boolean not null default false;

      create table dispatcher.late_answer (
        id bigint generated always as identity primary key,
        lane integer not null,
        position bigint not null,
        endpoint_id uuid not null,
        attempt integer not null,
        started_at timestamptz not null,
        -- Of the set of endpoints when the attempt began.
        revision bigint not null,
        duration_ms integer not null,
        outcome text not null,
        status integer,
        detail text,
        -- From Retry-After.
        retry_after timestamptz
      );
      create index late_answer_by_lane on dispatcher.late_answer (lane, id);
      create index owner_request_by_lane on dispatcher.owner_request (lane, id);`,
  },
  {
    number: 5,
    name: 'cursors',
    sql: `
      -- Endpoints with so many rows in a lane that what is behind the position has none yet.
      create table dispatcher.cursor (
        lane integer not null,
        endpoint_id uuid not null,
        position bigint not null,
        -- The event that stands there, and where Kafka keeps it; null at 0.
        event_id uuid,
        event_offset bigint,
        primary key (lane, endpoint_id)
      );`,
  },
  {
    number: 6,
    name: 'endpoints',
    sql: `
      create table dispatcher.endpoint_health (
        endpoint_id uuid primary key,
        last_success_at timestamptz,
        -- The first failure since then; null when there was none.
        failing_since timestamptz
      ) with (fillfactor = 70);

      create table dispatcher.endpoint_standing (
        endpoint_id uuid not null,
        -- One process: each has circuits and limits of its own.
        dispatcher_id uuid not null,
        circuit text not null,
        reason text,
        broken_since timestamptz,
        probe_at timestamptz,
        concurrency_limit integer not null,
        in_flight integer not null,
        queued integer not null,
        noted_at timestamptz not null default now(),
        primary key (endpoint_id, dispatcher_id)
      ) with (fillfactor = 70);`,
  },
  {
    number: 7,
    name: 'indexes_of_parked',
    sql: `
      -- All rows of an endpoint in a lane, also those outside the order, and the next of each pair.
      create index parked_by_pair on dispatcher.parked
        (lane, endpoint_id, ordered, invoice_id, position) include (attempt, in_flight);
      drop index dispatcher.parked_pair;
      -- With all that a claim reads of rows, so that it need not look for each of them in the table.
      create index parked_by_due on dispatcher.parked (lane, endpoint_id, due_at)
        include (position, invoice_id, attempt, in_flight, ordered)
        where due_at is not null;
      drop index dispatcher.parked_due;
      -- An index is enough only where the table was swept.
      alter table dispatcher.parked set (autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.05);`,
  },
  {
    number: 8,
    name: 'requests_of_endpoints',
    sql: `
      -- Whether a delivery is asked for already, and how many of an endpoint are.
      create index owner_request_by_delivery on dispatcher.owner_request
        (endpoint_id, lane, position);`,
  },
  {
    number: 9,
    name: 'lag_of_endpoints',
    sql: `
      -- In how many lanes of the process the endpoint lags, and keeps a cursor.
      alter table dispatcher.endpoint_standing
        add column lagging_lanes integer not null default 0,
        add column cursor_lanes integer not null default 0;`,
  },
];
