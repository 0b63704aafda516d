import { transaction } from '@billhook/postgres';
import type { MeasuredEndpoint } from './endpoints.ts';
import type { MeasuredSystem } from './measured-system.ts';
import { preloadEvents, unhurried } from './preload.ts';

const PREFIX = 'ep_';

/**
 * Fills the log up to so many events, all of which the endpoint has got: they are in the delivery log,
 * and every lane's progress is behind them. No dispatcher may run meanwhile.
 */
export async function preloadHistory(
  system: MeasuredSystem,
  { endpoint, events }: { readonly endpoint: MeasuredEndpoint; readonly events: number },
): Promise<void> {
  const { pool } = system;
  const { rows } = await pool.query<{ events: number }>(
    'select sum(position)::float8 as events from invoice.lane',
  );
  const missing = events - (rows[0]?.events ?? 0);
  if (missing <= 0) return;
  await preloadEvents(system, { tenants: [endpoint.tenant], eventsPerTenant: missing });
  await transaction(pool, async (client) => {
    const values = [endpoint.endpointId.slice(PREFIX.length)];
    await client.query(unhurried(INSERT_ATTEMPTS, values));
    await client.query(unhurried(MOVE_PROGRESS));
  });
  // As it would have been done on the way; and written before anything is measured. What is not vacuumed here
  // would be by itself meanwhile.
  for (const table of ['invoice.event', 'invoice.invoice', 'dispatcher.attempt']) {
    await pool.query(unhurried(`vacuum analyze ${table}`));
  }
  await pool.query(unhurried('checkpoint'));
}

const INSERT_ATTEMPTS = `
insert into dispatcher.attempt (endpoint_id, event_id, attempt, lane, position, tenant, invoice_id,
  type, sequence, started_at, duration_ms, outcome, status, settlement)
select $1::uuid, event.id, 1, event.lane, event.position, event.tenant, event.stream_id, event.type,
  event.version, event.recorded_at, 1, 'delivered', 200, 'delivered'
from invoice.event join dispatcher.lane_progress as progress using (lane)
where event.position > progress.progress`;

const MOVE_PROGRESS = `
update dispatcher.lane_progress
set progress = event.position, progress_event_id = event.id
from invoice.lane as lane join invoice.event as event using (lane, position)
where lane.lane = lane_progress.lane and lane.position > lane_progress.progress`;
