import { eventStoreMigrations } from '@billhook/event-store';
import { laneLeaseMigrations } from '@billhook/lane-leases';
import { migrate } from '@billhook/postgres';
import type { Migration, Pool } from '@billhook/postgres';

/** The schema that this service owns: its event store and its read model. */
export const SCHEMA = 'invoice';

/** Brings the schema up to date, safely from several processes at once. */
export async function migrateInvoices(pool: Pool): Promise<void> {
  await migrate(pool, { schema: SCHEMA, migrations });
}

/**
 * Invoices as their events left them, one row each: it is written in the transaction of the events
 * and can be made anew from them.
 *
 * Times are milliseconds since 1970. Ids are compared byte by byte. There is no index but the key:
 * every further one would make each write dearer.
 */
const createInvoiceTable = `
create table ${SCHEMA}.invoice (
  tenant text collate "C" not null,
  invoice_id text collate "C" not null,
  version bigint not null check (version > 0),
  status text not null check (status in ('pending', 'updated', 'paid')),
  currency text not null,
  amount_minor bigint not null check (amount_minor > 0),
  due_at_ms bigint,
  description text,
  amount_received_minor bigint check (amount_received_minor > 0),
  paid_at_ms bigint,
  created_at_ms bigint not null,
  updated_at_ms bigint not null,
  primary key (tenant, invoice_id),
  check ((status = 'paid') = (amount_received_minor is not null)),
  check ((status = 'paid') = (paid_at_ms is not null))
) with (fillfactor = 85)`;

/** Up to where each lane was relayed to Kafka: the last event that is there, and its offset. */
const createRelayCursorTable = `
create table ${SCHEMA}.relay_cursor (
  lane integer primary key,
  position bigint not null,
  event_id text not null,
  kafka_offset bigint not null
) with (fillfactor = 50)`;

const migrations: readonly Migration[] = [
  ...eventStoreMigrations(SCHEMA),
  { number: 2, name: 'invoice', sql: createInvoiceTable },
  ...laneLeaseMigrations(SCHEMA, 3),
  { number: 4, name: 'relay_cursor', sql: createRelayCursorTable },
];
