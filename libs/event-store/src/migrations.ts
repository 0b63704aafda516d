import type { Migration } from '@billhook/postgres';

/**
 * The tables of an event store in a service's schema, as its migration 1.
 *
 * - `lane`: the last position of each lane; who appends locks the row first.
 * - `event`: the events. Its second key guards that versions are consecutive.
 * - `answer`: what was answered to which `request_id`, a partition a day.
 * - `event_log`: what readers of the log may rely on.
 */
export function eventStoreMigrations(schema: string): readonly Migration[] {
  return [
    {
      number: 1,
      name: 'event_store',
      sql: `
        create table ${schema}.lane (
          lane integer primary key,
          position bigint not null default 0,
          recorded_at timestamptz not null default '-infinity'
        ) with (fillfactor = 50);

        create table ${schema}.event (
          lane integer not null,
          position bigint not null,
          id uuid not null,
          tenant text collate "C" not null,
          stream_id text collate "C" not null,
          version bigint not null,
          type text not null,
          data bytea not null,
          recorded_at timestamptz not null,
          traceparent text,
          primary key (lane, position),
          unique (tenant, stream_id, version)
        );

        create table ${schema}.answer (
          tenant text collate "C" not null,
          stream_id text collate "C" not null,
          request_id text collate "C" not null,
          request_hash bytea not null,
          answer bytea not null,
          recorded_at timestamptz not null
        ) partition by range (recorded_at);
        create index answer_by_request on ${schema}.answer (tenant, stream_id, request_id);
        create table ${schema}.answer_default partition of ${schema}.answer default;

        create view ${schema}.event_log as
          select lane, position, id, tenant, stream_id, version, type, data, recorded_at,
            traceparent
          from ${schema}.event;`,
    },
  ];
}
