import { createInterface } from 'node:readline';
import { stopLeftPostgres } from '@billhook/embedded-postgres';

/** Reads which processes there are, and ends what is left of them when nothing more can come. */
const [postgresFolder = ''] = process.argv.slice(2);
const watched = new Set<number>();

for await (const line of createInterface({ input: process.stdin })) {
  const [word, pid] = line.split(' ');
  if (word === 'watch') watched.add(Number(pid));
  else watched.delete(Number(pid));
}
for (const pid of watched) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
await stopLeftPostgres(postgresFolder);
