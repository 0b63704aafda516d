import type { Pool } from '@billhook/postgres';

/**
 * Finds what was sent again although the delivery log said already that it was delivered: after a fault
 * only what was in flight or not recorded yet may come again (G2). The times are those of Postgres and of
 * a dispatcher, which share a clock here. A transaction's time is when it began; whoever takes a lane over
 * waits for its commit, so that nothing can be sent between the two.
 *
 * @returns these deliveries, as `endpoint/event`.
 */
export async function findResent(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ delivery: string }>(`
    select distinct delivered.endpoint_id || '/' || delivered.event_id as delivery
    from dispatcher.attempt delivered
    join dispatcher.attempt again using (endpoint_id, event_id)
    where delivered.settlement = 'delivered'
      and again.outcome is not null
      and again.started_at > delivered.recorded_at`);
  return rows.map(({ delivery }) => delivery);
}
