/** Postgres cannot run here: the message says in a sentence why, for whoever started it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}
