export { EmbeddedPostgresError } from './errors.ts';
export { startEmbeddedPostgres, stopLeftPostgres } from './start.ts';
export type { EmbeddedPostgres, EmbeddedPostgresOptions } from './start.ts';
