import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that the operating system hands out to outgoing connections (from 32,768 on): one
 * of those could take the port of a broker that is being restarted.
 */
const PORTS = { first: 20_000, count: 12_000 } as const;
const MAX_TRIES = 200;

/** Finds a port of loopback on which nobody listens. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (await isFree(port)) return port;
  }
  throw new Error('no free port was found');
}

/** Says whether somebody could listen on a port of loopback. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  await once(server.close(), 'close');
  return true;
}
