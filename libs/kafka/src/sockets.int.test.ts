import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { socketsUntil } from './sockets.ts';

const SOCKETS = 30;

test('connections of a client wait for its end together, and are broken by it', async () => {
  const accepted = new Set<Socket>();
  const server = createServer((socket) => {
    accepted.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => accepted.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;

  const client = new AbortController();
  const open = socketsUntil(client.signal);
  const target = { host: '127.0.0.1', port, ssl: {}, onConnect: () => undefined };
  const closed: Promise<unknown>[] = [];
  for (let count = 0; count < SOCKETS; count += 1) {
    const socket = open(target);
    socket.on('error', () => undefined);
    closed.push(new Promise((resolve) => socket.once('close', resolve)));
    await once(socket, 'connect');
  }
  await expect.poll(() => accepted.size).toBe(SOCKETS);
  expect(getEventListeners(client.signal, 'abort')).toHaveLength(1);
  client.abort();
  await Promise.all(closed);
  await expect.poll(() => accepted.size).toBe(0);
  expect(() => open(target)).toThrow();
});
