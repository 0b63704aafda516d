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

/** Postgres answered `COMMIT` with something else: it rolled back, because a statement had failed. */
class NotCommittedError extends Error {}

/** Whoever does not even answer to ROLLBACK loses the connection, which rolls back as well. */
const ROLLBACK_TIMEOUT_MS = 1_000;

/**
 * Runs `work` in a transaction. It counts only if Postgres answers `COMMIT`: a transaction in which
 * a statement failed unnoticed is answered with `ROLLBACK`.
 *
 * @throws OutcomeUnknownError when the answer to `COMMIT` was lost; anything else means that
 *   nothing was committed.
 */
export function transaction<Result>(
  pool: Pool,
  work: (client: Client) => Promise<Result>,
  options: { readonly isolation?: 'read committed' | 'repeatable read' } = {},
): Promise<Result> {
  return onConnection(pool, async (client) => {
    await client.query(`begin isolation level ${options.isolation ?? 'read committed'}`);
    const result = await orRollBack(client, () => work(client));
    await commit(client);
    return result;
  });
}

/**
 * Whatever arrays they are given, statements that run over and over need their plan once. Postgres would
 * rather plan each anew, because it takes an array of unknown length for one of ten: measured, half of
 * what a transaction with single rows costs.
 */
const BEGIN_STEPS =
  'begin isolation level read committed; set local plan_cache_mode = force_generic_plan';

/** A transaction in two steps. What a step sends goes to Postgres at once, without waiting between. */
export interface TransactionSteps<Found, Result> {
  /**
   * Sends what locks and reads. It must not write: it is sent together with `begin`, and nobody knows yet
   * whether that works. Its statements see what the ones before them locked.
   */
  read(client: Client): Promise<Found>;
  /**
   * Sends what writes. `commit` follows at once, and rolls back if any of it fails. So it must not wait;
   * what it throws rolls back, too.
   */
  write(client: Client, found: Found): Sent<Result>;
}

/** Statements under way, and what they make true. */
export interface Sent<Result> {
  readonly result: Result;
  readonly answers: readonly Promise<unknown>[];
}

/**
 * Runs a transaction in two exchanges with Postgres, whatever the number of its statements.
 *
 * @throws like `transaction`.
 */
export function transactionInTwoSteps<Found, Result>(
  pool: Pool,
  steps: TransactionSteps<Found, Result>,
): Promise<Result> {
  return onConnection(pool, async (client) => {
    const { result, answers } = await orRollBack(client, async () => {
      const began = client.query(BEGIN_STEPS);
      const [found] = await Promise.all([steps.read(client), began]);
      return writeAtOnce(client, (writer) => steps.write(writer, found));
    });
    const [committed, ...written] = await Promise.allSettled([commit(client), ...answers]);
    const failure = written.find((answer) => answer.status === 'rejected');
    if (committed.status === 'fulfilled' && failure === undefined) return result;
    throw explain(committed, failure);
  });
}

/** A statement that comes after `commit` would be a transaction of its own: it is refused. */
function writeAtOnce<Result>(client: Client, write: (writer: Client) => Result): Result {
  let isOver = false;
  const writer = new Proxy(client, {
    get(target, property) {
      if (isOver) throw new Error('a transaction was written to after its commit was sent');
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const result = write(writer);
  isOver = true;
  return result;
}

/** Says what came of a transaction of which something failed after its `commit` was sent. */
function explain(
  committed: PromiseSettledResult<void>,
  failure: PromiseRejectedResult | undefined,
): unknown {
  if (committed.status === 'fulfilled') {
    return new OutcomeUnknownError('an answer could not be read', { cause: failure?.reason });
  }
  if (failure === undefined) return committed.reason;
  const wasRolledBack = committed.reason instanceof NotCommittedError;
  if (wasRolledBack) return new RolledBack('rolled back', { cause: failure.reason });
  // What Postgres refused before `commit` cannot have been committed, whatever became of the connection.
  return failure.reason instanceof pg.DatabaseError ? failure.reason : committed.reason;
}

/** Lends a connection, which is used again afterwards only if it is known to be as good as before. */
async function onConnection<Result>(
  pool: Pool,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken = true;
  try {
    const result = await work(client);
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

async function orRollBack<Result>(client: Client, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
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
    throw new NotCommittedError(
      `the transaction was not committed: Postgres answered ${answer.command}`,
    );
  }
}

/** Postgres said itself that it did not commit. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  const state = error.code ?? 'XX';
  return !UNKNOWN_OUTCOME_STATES.some((beginning) => state.startsWith(beginning));
}
