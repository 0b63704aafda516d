import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@billhook/postgres';
import type { Victim } from '../cluster/copy.ts';

/** How often the process is stopped for a moment until it is found inside a transaction. */
const MOST_TRIES = 200;
/** So long a statement may take that was under way when the process was stopped. */
const SETTLE_MS = 15;
const BETWEEN_MS = 10;

/**
 * Freezes a process while it holds a transaction open: stops it, looks whether one of its sessions
 * waits for the next statement of a transaction, and lets it go on and tries again if none does.
 *
 * @returns whether it is inside one; it is frozen in any case.
 */
export async function freezeInside(victim: Victim, pool: Pool): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    await victim.freeze();
    await sleep(SETTLE_MS);
    if (await holdsTransaction(victim, pool)) return true;
    if (tries === MOST_TRIES) return false;
    await victim.thaw();
    await sleep(Math.random() * BETWEEN_MS);
  }
}

async function holdsTransaction({ name }: Victim, pool: Pool): Promise<boolean> {
  const { rows } = await pool.query(
    `select 1 from pg_stat_activity
     where application_name = $1 and state = 'idle in transaction'`,
    [name],
  );
  return rows.length > 0;
}
