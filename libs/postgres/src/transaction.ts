import pg from 'pg';

import type { Client, Pool } from './pool.ts';

/**
 * `COMMIT` was sent and not answered: the transaction may have been committed, or not. Nothing is
 * repeated without looking first.
 */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/**
 * SQLSTATEs, by how they begin, that do not say whether the transaction was committed: the server or
 * what stands before it went away or broke, and may have committed before.
 */
const UNKNOWN_OUTCOME_STATES = ['08', '40003', '53', '57P', '58', 'XX'];

/** Whoever does not even answer to ROLLBACK loses the connection, which rolls back as well. */
const ROLLBACK_TIMEOUT_MS = 1_000;

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
    const rollback = { text: 'rollback', query_timeout: ROLLBACK_TIMEOUT_MS };
    const wasRolledBack = await client.query(rollback).then(
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
  if (!(error instanceof pg.DatabaseError)) return false;
  const state = error.code ?? 'XX';
  return !UNKNOWN_OUTCOME_STATES.some((beginning) => state.startsWith(beginning));
}
