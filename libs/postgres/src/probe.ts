import { within } from '@billhook/runtime';
import type { Pool } from './pool.ts';

/** More than a busy pool takes to have a connection free. */
const PATIENCE_MS = 2_000;
const PROBLEM = 'Postgres does not answer';

/**
 * Makes a check of whether Postgres answers. It never rejects: it says in words that there is no answer,
 * or undefined. One question is under way at a time, so that they do not pile up meanwhile.
 */
export function createProbe(pool: Pool): () => Promise<string | undefined> {
  let underWay: Promise<string | undefined> | undefined;
  return async () => {
    underWay ??= pool
      .query('select')
      .then(
        () => undefined,
        () => PROBLEM,
      )
      .finally(() => {
        underWay = undefined;
      });
    return within(underWay, PATIENCE_MS, () => PROBLEM);
  };
}
