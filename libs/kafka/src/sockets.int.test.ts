import { getEventListeners, once } from 'node:events';
import { expect, test } from 'vitest';
import { startSilentBroker } from './silent-broker.fixture.ts';
import { socketsUntil } from './sockets.ts';

const SOCKETS = 30;

test('connections of a client wait for its end together, and are broken by it', async () => {
  const { host, port, connections } = await startSilentBroker();
  const client = new AbortController();
  const open = socketsUntil(client.signal);
  const target = { host, port, ssl: {}, onConnect: () => undefined };
  const closed: Promise<unknown>[] = [];
  for (let count = 0; count < SOCKETS; count += 1) {
    const socket = open(target);
    socket.on('error', () => undefined);
    closed.push(new Promise((resolve) => socket.once('close', resolve)));
    await once(socket, 'connect');
  }
  await expect.poll(() => connections.size).toBe(SOCKETS);
  expect(getEventListeners(client.signal, 'abort')).toHaveLength(1);
  client.abort();
  await Promise.all(closed);
  await expect.poll(() => connections.size).toBe(0);
  expect(() => open(target)).toThrow();
});
