import { Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { createConnector } from './connector.ts';
import { createLoopbackPolicy, startRawReceiver } from './loopback.ts';
import type { RawReceiver } from './loopback.ts';

const GREETING_BYTES = 40_000;

const connect = createConnector({ policy: createLoopbackPolicy() }, 1);
let receiver: RawReceiver | undefined;

afterEach(async () => {
  await receiver?.close();
});

test('what came over one socket, and is not read yet, stays when others come', async () => {
  receiver = await startRawReceiver((socket, count) => socket.write(greeting(count)));
  const sockets = await Promise.all([open(receiver), open(receiver), open(receiver)]);
  await vi.waitFor(() => {
    for (const socket of sockets) expect(socket.readableLength).toBe(GREETING_BYTES);
  });
  const texts = sockets.map(readAll);
  for (const socket of sockets) socket.destroy();
  const isWhole = [1, 2, 3].map((count) => texts.includes(greeting(count)));
  expect(isWhole).toEqual([true, true, true]);
});

/** More than is read at a time. */
function greeting(count: number): string {
  return `${count}`.repeat(GREETING_BYTES);
}

/** What has come over it so far. */
function readAll(socket: Socket): string {
  const chunk: unknown = socket.read();
  return Buffer.isBuffer(chunk) ? chunk.toString() + readAll(socket) : '';
}

function open({ port }: RawReceiver): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const options = { protocol: 'http:', hostname: '127.0.0.1', port: String(port) };
    connect(options, (error, socket) => {
      if (socket instanceof Socket) resolve(socket);
      else reject(error ?? new Error('no socket of node:net'));
    });
  });
}
