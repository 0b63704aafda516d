import { afterEach, describe, expect, test } from 'vitest';
import {
  answerWith,
  createLoopbackSender,
  flood,
  post,
  startRawReceiver,
  trickle,
} from './loopback.ts';
import type { Socket } from 'node:net';
import type { RawReceiver } from './loopback.ts';

const DEADLINE_MS = 300;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

const sender = createLoopbackSender({ timeoutMs: DEADLINE_MS });
let receiver: RawReceiver | undefined;

afterEach(async () => {
  await receiver?.close();
});

describe('a receiver that does not answer in time', () => {
  test.each<[string, (socket: Socket) => void, string]>([
    ['says nothing', (socket) => socket.resume(), 'timed out waiting for the response'],
    [
      'trickles its headers',
      trickle('HTTP/1.1 200 OK\r\nx: ', 'x'),
      'timed out waiting for the response',
    ],
    [
      'trickles a body after 200',
      trickle('HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n', 'x'),
      'timed out reading the response',
    ],
    [
      'hangs in the body after 200',
      answerWith('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'),
      'timed out reading the response',
    ],
    [
      'says 102 again and again',
      repeat('HTTP/1.1 102 Processing\r\n\r\n', 20),
      'timed out waiting for the response',
    ],
  ])('is unreachable when it %s', async (_name, onConnection, detail) => {
    receiver = await startRawReceiver(onConnection);
    const outcome = await post(sender, receiver.url);
    expect(outcome).toMatchObject({ kind: 'unreachable', detail });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(DEADLINE_MS);
    expect(outcome.durationMs).toBeLessThan(DEADLINE_MS + 500);
    await expectAllClosed(receiver);
  });

  test('has rejected the delivery when it hangs in the body after another status', async () => {
    receiver = await startRawReceiver(
      answerWith('HTTP/1.1 410 Gone\r\ncontent-length: 50\r\n\r\nbye'),
    );
    const outcome = await post(sender, receiver.url);
    expect(outcome).toMatchObject({ kind: 'rejected', status: 410, snippet: 'bye' });
    await expectAllClosed(receiver);
  });

  test('is given the time that the request names', async () => {
    receiver = await startRawReceiver(() => undefined);
    const outcome = await post(sender, receiver.url, 100);
    expect(outcome.durationMs).toBeLessThan(DEADLINE_MS);
  });
});

describe('a receiver that sends too much', () => {
  const large = Buffer.alloc(64 * 1024, 'x');

  test.each([
    ['with a length', `HTTP/1.1 200 OK\r\ncontent-length: ${large.length}\r\n\r\n`],
    ['without an end', 'HTTP/1.1 200 OK\r\n\r\n'],
  ])('has accepted with 200, %s, and is read no further', async (_name, head) => {
    receiver = await startRawReceiver(answerWith(Buffer.concat([Buffer.from(head), large])));
    const outcome = await post(sender, receiver.url);
    expect(outcome).toMatchObject({ kind: 'delivered', status: 200 });
    expect(outcome.durationMs).toBeLessThan(DEADLINE_MS);
    await expectAllClosed(receiver);
  });

  test('may send 16 KiB on a connection that is used again', async () => {
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${16 * 1024}\r\n\r\n`;
    const body = Buffer.alloc(16 * 1024, 'x');
    receiver = await startRawReceiver(answerWith(Buffer.concat([Buffer.from(head), body])));
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered' });
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered' });
    expect(receiver.connections).toBe(1);
  });

  test('has rejected with 500, with the beginning of what it said', async () => {
    const head = Buffer.from('HTTP/1.1 500 Oops\r\n\r\n');
    receiver = await startRawReceiver(answerWith(Buffer.concat([head, large])));
    const outcome = await post(sender, receiver.url);
    expect(outcome).toMatchObject({ kind: 'rejected', status: 500, snippet: 'x'.repeat(256) });
  });

  test('is unreachable when it is headers', async () => {
    receiver = await startRawReceiver(answerWith(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`));
    const detail = 'response headers too large (UND_ERR_HEADERS_OVERFLOW)';
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'unreachable', detail });
    await expectAllClosed(receiver);
  });

  test.each([
    ['1xx responses', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', ''],
    ['a status line', 'x'.repeat(1_000), 'HTTP/1.1 200 '],
  ])('is unreachable when it is a flood of %s', async (_name, bytes, head) => {
    receiver = await startRawReceiver(flood(head, bytes));
    const outcome = await post(sender, receiver.url, 10_000);
    expect(outcome).toMatchObject({ kind: 'unreachable', detail: 'response too long' });
    expect(outcome.durationMs).toBeLessThan(5_000);
    await expectAllClosed(receiver);
  });

  test('has rejected when it is a flood of chunk extensions after 500', async () => {
    const head = 'HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n1;';
    receiver = await startRawReceiver(flood(head, 'x'.repeat(1_000)));
    const outcome = await post(sender, receiver.url, 10_000);
    expect(outcome).toMatchObject({ kind: 'rejected', status: 500 });
    expect(outcome.durationMs).toBeLessThan(5_000);
  });
});

describe('a receiver that breaks the protocol', () => {
  test.each([
    ['garbage', 'hello\r\n\r\n'],
    ['zeros', Buffer.alloc(100)],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['an invalid header', 'HTTP/1.1 200 OK\r\nb ad: x\r\n\r\n'],
    ['a header with a NUL', 'HTTP/1.1 200 OK\r\nx: a\u0000b\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
    ['a chunk size that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
    ['HTTP/2', Buffer.from('000012040000000000', 'hex')],
    ['100 Continue, which nobody asked for', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['an upgrade', 'HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ])('is unreachable when it answers %s', async (_name, bytes) => {
    receiver = await startRawReceiver(answerWith(bytes));
    const detail = expect.stringMatching(/^invalid response/);
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'unreachable', detail });
    await expectAllClosed(receiver);
  });

  test('does no harm with answers that nobody asked for', async () => {
    receiver = await startRawReceiver(answerWith(OK + OK + OK));
    for (let count = 0; count < 5; count += 1) {
      expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered' });
    }
  });

  test('is never more than an outcome, whatever bytes it answers', async () => {
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    receiver = await startRawReceiver((socket) => {
      socket.on('data', () => {
        const bytes = Buffer.from(
          `${OK}HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n1\r\n`,
        );
        for (let count = 0; count < 3; count += 1) {
          bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
        }
        const cut = bytes.subarray(0, Math.floor(random() * bytes.length));
        const ending = Math.floor(random() * 3);
        if (ending === 0) socket.end(cut);
        else socket.write(cut, () => ending === 1 && socket.resetAndDestroy());
      });
    });
    const { url } = receiver;
    const outcomes = await Promise.all(Array.from({ length: 300 }, () => post(sender, url, 1_500)));
    const kinds = new Set(outcomes.map(({ kind }) => kind));
    expect(kinds).toEqual(new Set(['delivered', 'unreachable']));
  });
});

describe('a receiver that breaks the connection off', () => {
  test.each<[string, (socket: Socket) => void, string]>([
    ['at once', (socket) => socket.resetAndDestroy(), 'connection reset (ECONNRESET)'],
    ['before it answers', reset(''), 'connection reset (ECONNRESET)'],
    ['in its headers', reset('HTTP/1.1 200 OK\r\nx'), 'connection reset (ECONNRESET)'],
    [
      'in the body',
      reset('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'),
      'connection reset (ECONNRESET)',
    ],
    ['politely, without an answer', end(''), 'connection closed (UND_ERR_SOCKET)'],
    [
      'politely, in the body',
      end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab'),
      'connection closed (UND_ERR_SOCKET)',
    ],
    [
      'politely, in a body after which it was to close',
      end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nab'),
      'invalid response (UND_ERR_RES_CONTENT_LENGTH_MISMATCH)',
    ],
  ])('is unreachable when it does so %s', async (_name, onConnection, detail) => {
    receiver = await startRawReceiver(onConnection);
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'unreachable', detail });
    expect(receiver.connections).toBe(1);
    await expectAllClosed(receiver);
  });

  test('has accepted when the end of the connection is the end of the body', async () => {
    receiver = await startRawReceiver(end('HTTP/1.1 200 OK\r\n\r\nbody'));
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'delivered', status: 200 });
  });

  test('has rejected when it broke off after another status', async () => {
    receiver = await startRawReceiver(end('HTTP/1.1 503 No\r\ncontent-length: 50\r\n\r\nab'));
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'rejected', status: 503 });
  });

  test('is unreachable when nobody listens', async () => {
    receiver = await startRawReceiver(() => undefined);
    const { url } = receiver;
    await receiver.close();
    const detail = 'connection refused (ECONNREFUSED)';
    expect(await post(sender, url)).toMatchObject({ kind: 'unreachable', detail });
  });
});

function repeat(bytes: string, everyMs: number): (socket: Socket) => void {
  return (socket) => {
    const timer = setInterval(() => socket.write(bytes), everyMs);
    socket.on('close', () => clearInterval(timer));
  };
}

function reset(bytes: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => {
      // The reset must not overtake the bytes.
      socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), 20));
    });
  };
}

function end(bytes: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => socket.end(bytes));
  };
}

async function expectAllClosed(raw: RawReceiver): Promise<void> {
  await expect.poll(() => raw.openConnections).toBe(0);
}
