import { startEmbeddedPostgres } from './start.ts';

/** A program that starts Postgres on the folder it is given, says so, and lives until it is killed. */
const dataDir = process.argv[2];
if (dataDir === undefined) {
  throw new Error('the first argument is the data folder');
}
const postgres = await startEmbeddedPostgres({ dataDir, durability: 'none' });
process.stdout.write(`${postgres.pid}\n`);
setInterval(() => undefined, 60_000);
