import type { Migration } from '@billhook/postgres';

/**
 * The tables of the lane leases in a service's schema. Nothing but the counter changes often, and
 * it stands in no index, so a page keeps room for its new versions.
 *
 * @param number of the migration among those of the service.
 */
export function laneLeaseMigrations(schema: string, number = 1): readonly Migration[] {
  return [
    {
      number,
      name: 'lane_leases',
      sql: `
        create table ${schema}.lane_lease (
          lane integer primary key,
          owner text not null default '',
          epoch bigint not null default 0,
          counter bigint not null default 0
        ) with (fillfactor = 50);
        create table ${schema}.lane_member (
          owner text primary key,
          counter bigint not null
        ) with (fillfactor = 50);`,
    },
  ];
}
