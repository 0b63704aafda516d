import pg from 'pg';

/** Classes of SQLSTATE that say nothing about the statement: asked again, it may succeed. */
const UNAVAILABLE_CLASSES = new Set(['08', '40', '53', '55', '57', '58', 'XX']);

/** What pg says when a connection was not made, broke, or gave no answer; these have no code. */
const LOST_CONNECTION =
  /^(Connection terminated|timeout (exceeded|expired)|Query read timeout|Client has encountered|Cannot use a pool after)/;

/** Whether Postgres is away or busy, rather than asked for something that it cannot do. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    return UNAVAILABLE_CLASSES.has((error.code ?? 'XX').slice(0, 2));
  }
  // Errors of sockets and of name look-ups name the system call; several are an AggregateError.
  return (
    error instanceof Error &&
    ('syscall' in error || error instanceof AggregateError || LOST_CONNECTION.test(error.message))
  );
}
