import { lockDataFolder } from './instance-lock.ts';

/** A program that claims the folder it is given, says so, and lives until it is killed. */
const dataDir = process.argv[2];
if (dataDir === undefined) {
  throw new Error('the first argument is the data folder');
}
lockDataFolder(dataDir);
process.stdout.write('locked\n');
setInterval(() => undefined, 60_000);
