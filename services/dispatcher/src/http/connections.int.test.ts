import { afterEach, describe, expect, test } from 'vitest';
import { answerWith, createLoopbackSender, post, startRawReceiver } from './loopback.ts';
import type { Socket } from 'node:net';
import type { RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const delivered = expect.objectContaining({ kind: 'delivered' });

const receivers: RawReceiver[] = [];
const senders: Sender[] = [];

afterEach(async () => {
  for (const sender of senders.splice(0)) sender.destroy();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

describe('connections', () => {
  test('are kept and used again', async () => {
    const { sender, receiver } = await setUp(answerWith(OK));
    for (let count = 0; count < 10; count += 1) {
      expect(await post(sender, receiver.url)).toEqual(delivered);
    }
    expect(receiver.connections).toBe(1);
  });

  test('are made anew when the receiver wants each closed', async () => {
    const { sender, receiver } = await setUp(
      answerWith('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
    );
    const outcomes = await Promise.all(Array.from({ length: 9 }, () => post(sender, receiver.url)));
    expect(outcomes).toEqual(outcomes.map(() => delivered));
    expect(receiver.connections).toBe(9);
  });

  test('to one origin are as many as allowed; what finds none free waits in order', async () => {
    const { sender, receiver } = await setUp((socket) => {
      socket.on('data', () => setTimeout(() => socket.write(OK), 10));
    });
    const finished: number[] = [];
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const outcome = await post(sender, receiver.url);
        finished.push(index);
        return outcome;
      }),
    );
    expect(outcomes).toEqual(outcomes.map(() => delivered));
    expect(receiver.connections).toBe(4);
    expect(finished).toEqual(finished.toSorted((left, right) => left - right));
  });

  test('that hang free themselves at their deadline, and those who waited too long are told', async () => {
    let isWell = false;
    let requests = 0;
    const { sender, receiver } = await setUp((socket) => {
      socket.on('data', () => {
        requests += 1;
        if (isWell) socket.write(OK);
      });
    });
    const hanging = Array.from({ length: 4 }, () => post(sender, receiver.url, 300));
    const impatient = post(sender, receiver.url, 100);
    const patient = post(sender, receiver.url);
    expect(await impatient).toMatchObject({
      kind: 'unreachable',
      detail: 'timed out waiting for a free connection',
    });
    isWell = true;
    const detail = 'timed out waiting for the response';
    expect(await Promise.all(hanging)).toEqual(
      hanging.map(() => expect.objectContaining({ kind: 'unreachable', detail })),
    );
    expect(await patient).toEqual(delivered);
    expect(requests, 'what was given up is not sent any more').toBe(hanging.length + 1);
  });

  test('to idle origins are closed, the longest idle first, when there are too many', async () => {
    const sender = makeSender({ maxOrigins: 2 });
    const [first, second, third] = await Promise.all(
      [1, 2, 3].map(() => startReceiver(answerWith(OK))),
    );
    for (const receiver of [first, second, first, third]) {
      expect(await post(sender, receiver?.url ?? '')).toEqual(delivered);
    }
    await expect.poll(() => second?.openConnections).toBe(0);
    expect(first?.openConnections).toBe(1);
    expect(third?.openConnections).toBe(1);
  });
});

describe('idle connections', () => {
  test('to all origins together are closed, the longest idle first, when there are too many', async () => {
    const sender = makeSender({ maxIdleConnections: 3 });
    const first = await startReceiver(answerWith(OK));
    const second = await startReceiver(answerWith(OK));
    await Promise.all([post(sender, first.url), post(sender, first.url)]);
    for (const { url } of [second, first, second])
      expect(await post(sender, url)).toEqual(delivered);
    expect([first.openConnections, second.openConnections]).toEqual([2, 1]);
    await Promise.all([post(sender, second.url), post(sender, second.url)]);
    await expect.poll(() => first.openConnections).toBe(1);
    expect(await post(sender, first.url)).toEqual(delivered);
    expect([first.connections, second.connections]).toEqual([2, 2]);
  });
});

describe('a connection that the receiver closes just as it is used again', () => {
  test.each<[string, (socket: Socket) => void]>([
    ['politely', (socket) => socket.end()],
    ['by a reset', (socket) => socket.resetAndDestroy()],
  ])('costs no attempt when it is closed %s', async (_name, close) => {
    const { sender, receiver } = await setUp(closeAtSecondRequest(close));
    expect(await post(sender, receiver.url)).toEqual(delivered);
    expect(await post(sender, receiver.url)).toEqual(delivered);
    expect(receiver.connections).toBe(2);
  });

  test('costs it when the new connection is closed as well', async () => {
    const { sender, receiver } = await setUp((socket, count) => {
      if (count === 1) closeAtSecondRequest((used) => used.end())(socket);
      else socket.on('data', () => socket.end());
    });
    expect(await post(sender, receiver.url)).toEqual(delivered);
    expect(await post(sender, receiver.url)).toMatchObject({
      kind: 'unreachable',
      detail: 'connection closed (UND_ERR_SOCKET)',
    });
    expect(receiver.connections).toBe(2);
  });

  test('costs it when a part of the answer came', async () => {
    const { sender, receiver } = await setUp(
      closeAtSecondRequest((socket) => socket.end('HTTP/1.1 2')),
    );
    expect(await post(sender, receiver.url)).toEqual(delivered);
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'unreachable' });
    expect(receiver.connections).toBe(1);
  });

  test('is not used when the receiver closed it while it was idle', async () => {
    const { sender, receiver } = await setUp((socket) => {
      socket.on('data', () => socket.end(OK));
    });
    expect(await post(sender, receiver.url)).toEqual(delivered);
    await expect.poll(() => receiver.openConnections).toBe(0);
    expect(await post(sender, receiver.url)).toEqual(delivered);
  });
});

describe('closing', () => {
  test('waits for what is under way, and leaves no connection', async () => {
    const { sender, receiver } = await setUp((socket) => {
      socket.on('data', () => setTimeout(() => socket.write(OK), 50));
    });
    const outcomes = Array.from({ length: 6 }, () => post(sender, receiver.url));
    await sender.close();
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => delivered));
    await expect.poll(() => receiver.openConnections).toBe(0);
    await sender.close();
  });

  test('by force ends at once what is under way, waits or is connecting', async () => {
    const { sender, receiver } = await setUp((socket) => socket.resume());
    const outcomes = Array.from({ length: 6 }, () => post(sender, receiver.url));
    await expect.poll(() => receiver.openConnections).toBe(4);
    const connecting = post(sender, 'http://127.0.0.1:4/');
    sender.destroy();
    const shutDown = expect.objectContaining({ kind: 'unreachable', detail: 'shut down' });
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => shutDown));
    expect(await connecting).toEqual(shutDown);
    await expect.poll(() => receiver.openConnections).toBe(0);
  });

  test('is final: what is sent afterwards is told so', async () => {
    const { sender, receiver } = await setUp(answerWith(OK));
    await sender.close();
    expect(await post(sender, receiver.url)).toMatchObject({
      kind: 'unreachable',
      detail: 'shut down',
    });
    expect(receiver.connections).toBe(0);
  });
});

function closeAtSecondRequest(close: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    let requests = 0;
    socket.on('data', () => {
      requests += 1;
      if (requests === 1) socket.write(OK);
      else close(socket);
    });
  };
}

async function setUp(
  onConnection: (socket: Socket, count: number) => void,
): Promise<{ sender: Sender; receiver: RawReceiver }> {
  return { sender: makeSender(), receiver: await startReceiver(onConnection) };
}

function makeSender(limits: Parameters<typeof createLoopbackSender>[0] = {}): Sender {
  const sender = createLoopbackSender(limits);
  senders.push(sender);
  return sender;
}

async function startReceiver(
  onConnection: (socket: Socket, count: number) => void,
): Promise<RawReceiver> {
  const receiver = await startRawReceiver(onConnection);
  receivers.push(receiver);
  return receiver;
}
