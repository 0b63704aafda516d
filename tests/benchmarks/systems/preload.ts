import { invoiceEventsV1 } from '@billhook/contracts';
import { transaction } from '@billhook/postgres';
import type { MeasuredSystem } from './measured-system.ts';

/** Events that were never asked for over gRPC. */
export interface Preloaded {
  readonly tenants: readonly string[];
  readonly eventsPerTenant: number;
}

const TIMEOUT_MS = 60 * 60 * 1_000;
let runs = 0;

/**
 * Writes events into the store of the invoice service by SQL, each of an invoice of its own, as the
 * service would: in their lanes, without gaps, with the invoices beside them. They become visible all
 * at once. Who reads the log does not notice the difference.
 *
 * @param beforeCommit called when all is written and nobody sees it yet.
 */
export async function preloadEvents(
  { pool, lanes }: MeasuredSystem,
  { tenants, eventsPerTenant }: Preloaded,
  beforeCommit: () => void = () => undefined,
): Promise<void> {
  runs += 1;
  const prefix = `p${process.pid.toString(36)}x${runs}-`;
  await transaction(pool, async (client) => {
    await client.query('select from invoice.lane order by lane for update');
    const values = [tenants, eventsPerTenant, prefix, lanes, CREATED];
    await client.query(unhurried(INSERT_EVENTS, values));
    await client.query(unhurried(MOVE_LANES));
    beforeCommit();
  });
}

/** A query that is not given up after the time of a call. */
export function unhurried(text: string, values: readonly unknown[] = []): QueryConfig {
  return { text, values: [...values], query_timeout: TIMEOUT_MS };
}

/** `pg` knows the time-out of a query, its types do not. */
interface QueryConfig {
  readonly text: string;
  readonly values: unknown[];
  readonly query_timeout: number;
}

/** The hash of `libs/event-store/src/lane.ts`. Tenants take turns, as they do in life. */
const INSERT_EVENTS = `
with made as (
  select number, tenant, stream_id,
    (('x' || encode(substr(sha256(convert_to(tenant, 'UTF8') || '\\x00'::bytea
      || convert_to(stream_id, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint % $4::int)::int as lane
  from generate_series(1, $2::int) as series (nth)
  cross join unnest($1::text[]) with ordinality as named (tenant, tenant_number)
  cross join lateral (
    select (nth - 1) * cardinality($1::text[]) + tenant_number as number,
      $3::text || ((nth - 1) * cardinality($1::text[]) + tenant_number) as stream_id
  ) as numbered
), invoices as (
  insert into invoice.invoice (tenant, invoice_id, version, status, currency, amount_minor,
    created_at_ms, updated_at_ms)
  select tenant, stream_id, 1, 'pending', 'USD', 20000,
    floor(extract(epoch from now()) * 1000), floor(extract(epoch from now()) * 1000)
  from made
)
insert into invoice.event (lane, position, id, tenant, stream_id, version, type, data, recorded_at)
select lane, lane.position + row_number() over (partition by lane order by number), uuidv7(), tenant,
  stream_id, 1, 'invoice_created', $5::bytea, greatest(now(), lane.recorded_at)
from made join invoice.lane as lane using (lane)`;

const MOVE_LANES = `
update invoice.lane
set position = last.position, recorded_at = greatest(now(), lane.recorded_at)
from (
  select lane.lane, event.position
  from invoice.lane as lane
  cross join lateral (
    select position from invoice.event where event.lane = lane.lane
    order by position desc limit 1
  ) as event
) as last
where last.lane = lane.lane`;

const CREATED = Buffer.from(
  invoiceEventsV1.InvoiceEvent.encode({
    change: {
      $case: 'created',
      value: {
        amount: { currencyCode: 'USD', units: 200n, nanos: 0 },
        dueDate: undefined,
        description: undefined,
      },
    },
  }).finish(),
);
