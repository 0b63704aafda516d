import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createLoopbackSender, startRawReceiver } from './loopback.ts';
import { createTarget } from './target.ts';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('a receiver that answers without reading the request', () => {
  const LARGE = Buffer.alloc(256 * 1024, 'x');
  const POSTS = 100;

  test('gets another connection, so that what it does not read is not gathered', async () => {
    const sockets = collectSockets();
    const receiver = await receive((socket) => {
      socket.pause();
      const timer = setInterval(() => socket.write(OK), 5);
      socket.on('close', () => clearInterval(timer));
    });
    const sender = makeSender();
    let mostUnwritten = 0;
    for (let count = 0; count < POSTS; count += 1) {
      const outcome = await post(sender, receiver.url, LARGE);
      expect(outcome).toMatchObject({ kind: 'delivered', status: 200 });
      const unwritten = sockets.map(({ writableLength }) => writableLength);
      mostUnwritten = Math.max(mostUnwritten, ...unwritten);
    }
    expect(receiver.connections).toBeGreaterThan(1);
    expect(mostUnwritten).toBeLessThan(2 * LARGE.length);
  });
});

/** The sockets that are opened from now on. */
function collectSockets(): readonly Socket[] {
  const sockets: Socket[] = [];
  const collect = (message: unknown): void => {
    const { socket } = Object(message);
    if (socket instanceof Socket) sockets.push(socket);
  };
  subscribe('net.client.socket', collect);
  cleanUps.push(() => unsubscribe('net.client.socket', collect));
  return sockets;
}

function makeSender(): Sender {
  const sender = createLoopbackSender();
  cleanUps.push(() => sender.destroy());
  return sender;
}

async function receive(onConnection: (socket: Socket) => void): Promise<RawReceiver> {
  const receiver = await startRawReceiver(onConnection);
  cleanUps.push(() => receiver.close());
  return receiver;
}

function post(sender: Sender, url: string, body: Buffer): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    sender.send({ target: createTarget(url), headers: [], body }, resolve);
  });
}
