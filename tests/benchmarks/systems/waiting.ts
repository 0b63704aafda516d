import { setTimeout as sleep } from 'node:timers/promises';
import type { MeasuredSystem } from './measured-system.ts';

const POLL_MS = 25;
const TIMEOUT_MS = 10 * 60 * 1_000;

/** Waits until no delivery waits as a row, and every event is settled. */
export async function untilNothingWaits({ pool }: MeasuredSystem): Promise<void> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const { rows } = await pool.query<{ waiting: boolean }>(
      `select exists (select from dispatcher.parked)
         or exists (select from dispatcher.cursor)
         or exists (
           select from invoice.lane join dispatcher.lane_progress using (lane)
           where lane.position > progress
         ) as waiting`,
    );
    if (rows[0]?.waiting === false) return;
    if (performance.now() > giveUpAtMs) throw new Error('deliveries still wait');
    await sleep(POLL_MS);
  }
}

/** How many events are settled, or wait as rows or behind a cursor. */
export async function eventsPassed({ pool }: MeasuredSystem): Promise<number> {
  const { rows } = await pool.query<{ events: number }>(
    'select sum(progress)::float8 as events from dispatcher.lane_progress',
  );
  return rows[0]?.events ?? 0;
}
