import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startConnectProxy } from './connect-proxy.ts';
import { BODY, createLoopbackSender, startRawReceiver } from './loopback.ts';
import { createTarget } from './target.ts';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { LoopbackDestinations, RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('a receiver that answers without reading the request', () => {
  const LARGE = Buffer.alloc(256 * 1024, 'x');
  const POSTS = 100;

  test.each<[string, () => Promise<Sender>]>([
    ['directly', async () => makeSender()],
    ['through a proxy', makeSenderBehindProxy],
  ])(
    'gets another connection, %s, and what it does not read is not gathered',
    async (_way, make) => {
      const sockets = collectSockets();
      const receiver = await receive((socket) => {
        socket.pause();
        const timer = setInterval(() => socket.write(OK), 5);
        socket.on('close', () => clearInterval(timer));
      });
      const sender = await make();
      let mostUnwritten = 0;
      for (let count = 0; count < POSTS; count += 1) {
        const outcome = await post(sender, receiver.url, LARGE);
        expect(outcome).toMatchObject({ kind: 'delivered', status: 200 });
        const unwritten = sockets.map(({ writableLength }) => writableLength);
        mostUnwritten = Math.max(mostUnwritten, ...unwritten);
      }
      expect(receiver.connections).toBeGreaterThan(1);
      expect(mostUnwritten).toBeLessThan(2 * LARGE.length);
    },
  );
});

describe('a receiver that sends what nobody asked for, though HTTP allows it', () => {
  const LINE_BREAKS = Buffer.alloc(16 * 1024, '\r\n');

  test('gets another connection when it is called again', async () => {
    const receiver = await receive((socket) => {
      socket.on('data', () => socket.write(OK, () => setTimeout(() => socket.write('\r\n'), 20)));
    });
    const sender = makeSender();
    for (const count of [1, 2, 3]) {
      expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered' });
      expect(receiver.connections).toBe(count);
      await sleep(200);
    }
  });

  test('loses the connection, also when it is not called again', async () => {
    let bytesWritten = 0;
    const receiver = await receive((socket) => {
      const write = () => {
        while (!socket.destroyed && socket.write(LINE_BREAKS)) bytesWritten += LINE_BREAKS.length;
      };
      socket.on('data', () => socket.write(OK, write)).on('drain', write);
    });
    const sender = makeSender();
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered' });
    await expect.poll(() => receiver.openConnections, { timeout: 3_000 }).toBe(0);
    expect(bytesWritten).toBeGreaterThan(0);
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

async function makeSenderBehindProxy(): Promise<Sender> {
  const proxy = await startConnectProxy();
  cleanUps.push(() => proxy.close());
  return makeSender({ egressProxy: proxy.url });
}

function makeSender(destinations: LoopbackDestinations = {}): Sender {
  const sender = createLoopbackSender({}, destinations);
  cleanUps.push(() => sender.destroy());
  return sender;
}

async function receive(onConnection: (socket: Socket) => void): Promise<RawReceiver> {
  const receiver = await startRawReceiver(onConnection);
  cleanUps.push(() => receiver.close());
  return receiver;
}

function post(sender: Sender, url: string, body = BODY): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    sender.send({ target: createTarget(url), headers: [], body }, resolve);
  });
}
