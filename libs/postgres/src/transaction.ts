import pg from 'pg';

import type { Client, Pool } from './pool.ts';

/**
 * `COMMIT` was sent and not answered: the transaction may have been committed, or not. Nothing is
 * repeated without looking first.
 */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/** A server that is going down may have committed before it said so. */
const SHUTDOWN_CLASS = '57P';

/**
 * Runs `work` in a transaction. It counts only if Postgres answers `COMMIT`: a transaction in which
 * a statement failed unnoticed is answered with `ROLLBACK`.
 *
 * @throws OutcomeUnknownError when the answer to `COMMIT` was lost; anything else means that
 *   nothing was committed.
 */
export async function transaction<Result>(
  pool: Pool,
  work: (client: Client) => Promise<Result>,
  options: { readonly isolation?: 'read committed' | 'repeatable read' } = {},
): Promise<Result> {
  const client = await pool.connect();
  let broken = true;
  // A connection that breaks between two statements says so here; the next statement fails.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  try {
    await client.query(`begin isolation level ${options.isolation ?? 'read committed'}`);
    const result = await workOrRollBack(client, work);
    await commit(client);
    broken = false;
    return result;
  } catch (error) {
    broken = !(error instanceof RolledBack);
    throw error instanceof RolledBack ? error.cause : error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** The work failed, and the connection is as good as before. */
class RolledBack extends Error {}

async function workOrRollBack<Result>(
  client: Client,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(client);
  } catch (error) {
    const wasRolledBack = await client.query('rollback').then(
      () => true,
      () => false,
    );
    throw wasRolledBack ? new RolledBack('rolled back', { cause: error }) : error;
  }
}

async function commit(client: Client): Promise<void> {
  let answer: pg.QueryResult;
  try {
    answer = await client.query('commit');
  } catch (error) {
    if (isRefusal(error)) throw error;
    throw new OutcomeUnknownError('the answer to COMMIT was lost', { cause: error });
  }
  if (answer.command !== 'COMMIT') {
    throw new Error(`the transaction was not committed: Postgres answered ${answer.command}`);
  }
}

/** Postgres said itself that it did not commit. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof pg.DatabaseError && !(error.code ?? SHUTDOWN_CLASS).startsWith(SHUTDOWN_CLASS)
  );
}
