import type { Pool } from '@billhook/postgres';
import type { Log, Stoppable } from '@billhook/runtime';
import { deleteExpiredSecrets } from './secret-table.ts';

/** Nobody is given an expired secret, so that it may stay in the table for a while. */
const SWEEP_EVERY_MS = 60 * 60 * 1_000;

/** Removes expired secrets now and from time to time. */
export function startSecretExpiry(deps: { readonly pool: Pool; readonly log: Log }): Stoppable {
  const sweep = async () => {
    try {
      await deleteExpiredSecrets(deps.pool);
    } catch (error) {
      deps.log.warn({ err: error }, 'expired secrets were not removed; the next sweep will');
    }
  };
  let underWay = sweep();
  const timer = setInterval(() => {
    underWay = sweep();
  }, SWEEP_EVERY_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      await underWay;
    },
  };
}
