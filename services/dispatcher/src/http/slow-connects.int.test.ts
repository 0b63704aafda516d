import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { createLoopbackSender, post } from './loopback.ts';

/** Longer than Node tries an address unless it is told otherwise; the kernel asks again after 1 s. */
const ACCEPT_AFTER_MS = 700;

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** On the second address nobody listens, as where there is no IPv6. */
const addresses = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

test('a receiver that takes a second to connect is reached, though it has another address', async () => {
  const receiver = await startBusyReceiver();
  const sender = createLoopbackSender({}, { lookup: () => Promise.resolve(addresses) });
  cleanUps.push(() => sender.destroy());
  const outcome = post(sender, `http://receiver.example:${receiver.port}/`);
  await sleep(ACCEPT_AFTER_MS);
  receiver.accept();
  expect(await outcome).toMatchObject({ kind: 'delivered' });
});

test('a receiver that does not connect in time, nor at another address, has timed out', async () => {
  const receiver = await startBusyReceiver();
  const sender = createLoopbackSender({}, { lookup: () => Promise.resolve(addresses) });
  cleanUps.push(() => sender.destroy());
  expect(await post(sender, `http://receiver.example:${receiver.port}/`)).toMatchObject({
    kind: 'unreachable',
    detail: 'timed out connecting (UND_ERR_CONNECT_TIMEOUT)',
    timedOut: true,
  });
});

interface BusyReceiver {
  readonly port: number;
  /** Takes what waits to be connected, and answers. */
  readonly accept: () => void;
}

/** Starts a receiver whose system takes no further connection, because it accepts none. */
async function startBusyReceiver(): Promise<BusyReceiver> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(BUSY_RECEIVER, { eval: true, workerData: { gate } });
  const accept = (): void => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  };
  const [port] = await once(worker, 'message');
  const waiting = await Promise.all([1, 2].map(() => connectTo(port)));
  cleanUps.push(async () => {
    accept();
    for (const socket of waiting) socket.destroy();
    await worker.terminate();
  });
  return { port, accept };
}

const BUSY_RECEIVER = `
  const { createServer } = require('node:net');
  const { parentPort, workerData } = require('node:worker_threads');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n'));
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(workerData.gate, 0, 0);
  });
`;

async function connectTo(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}
