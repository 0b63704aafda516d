import pg from 'pg';

/**
 * SQLSTATEs, by how they begin, that say nothing about the statement: asked again, it may succeed.
 * 25006 is what a server answers that is a copy of the primary (a failover is under way), 25P03 and
 * 25P04 what a session is told that slept in a transaction.
 */
const UNAVAILABLE_STATES = ['08', '25006', '25P03', '25P04', '40', '53', '55', '57', '58', 'XX'];

/** What pg says when a connection was not made, broke, or gave no answer; these have no code. */
const LOST_CONNECTION =
  /^(Connection terminated|timeout (exceeded|expired)|Query read timeout|Client (has encountered|was closed)|Cannot use a pool after)/;

/** Whether Postgres is away or busy, rather than asked for something that it cannot do. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    const state = error.code ?? 'XX';
    return UNAVAILABLE_STATES.some((beginning) => state.startsWith(beginning));
  }
  // Errors of sockets and of name look-ups name the system call; several are an AggregateError.
  return (
    error instanceof Error &&
    ('syscall' in error || error instanceof AggregateError || LOST_CONNECTION.test(error.message))
  );
}
