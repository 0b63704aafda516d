import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that the operating system hands out to outgoing connections (from 32,768 on): one
 * of those could take the port of a system that is being restarted.
 */
const PORTS = { first: 20_000, count: 12_000 } as const;
const MAX_TRIES = 200;

/** Finds ports of loopback on which nobody listens. */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const free = new Set<number>();
  for (let tries = 0; tries < MAX_TRIES && free.size < count; tries += 1) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) free.add(port);
  }
  if (free.size < count) throw new Error(`no ${count} free ports were found`);
  return [...free];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
