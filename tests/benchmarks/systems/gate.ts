import { setTimeout as sleep } from 'node:timers/promises';
import type { Gate } from './deliver-preloaded.ts';
import type { ServiceProcesses } from './services.ts';
import type { EventLogKind } from './storage.ts';

const POLL_MS = 50;
const TIMEOUT_MS = 10 * 60 * 1_000;

/**
 * Keeps the dispatchers of a system from sending: nothing is delivered while no subscription service
 * says which revision is the current one, so that is frozen. The dispatchers themselves stay warm.
 */
export function createGate(system: ServiceProcesses, log: EventLogKind): Gate {
  const subscriptions = () => system.copiesOf('subscription');
  return {
    async close() {
      await Promise.all(subscriptions().map((copy) => copy.freeze()));
    },
    async untilReadable() {
      // Also so that Postgres does not write what was prepared while something is measured.
      await system.pool.query('checkpoint');
      if (log === 'kafka') await untilRelayed(system);
    },
    async open() {
      await Promise.all(subscriptions().map((copy) => copy.thaw()));
    },
  };
}

async function untilRelayed({ pool }: ServiceProcesses): Promise<void> {
  const giveUpAtMs = performance.now() + TIMEOUT_MS;
  for (;;) {
    const { rows } = await pool.query<{ behind: boolean }>(
      `select exists (
         select from invoice.lane left join invoice.relay_cursor as cursor using (lane)
         where lane.position > coalesce(cursor.position, 0)
       ) as behind`,
    );
    if (rows[0]?.behind === false) return;
    if (performance.now() > giveUpAtMs) throw new Error('the events are not relayed');
    await sleep(POLL_MS);
  }
}
