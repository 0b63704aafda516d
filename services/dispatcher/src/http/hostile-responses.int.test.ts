import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import {
  answerWith,
  createLoopbackSender,
  flood,
  post,
  startRawReceiver,
  trickle,
} from './loopback.ts';
import { toSnippet } from './rejection.ts';
import type { Socket } from 'node:net';
import type { RawReceiver } from './loopback.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const OK_CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const SNIPPET_BYTES = 256;

/** What a receiver floods with; larger than a packet, so that the flood costs it little. */
const PIECES = 1_000;

const sender = createLoopbackSender({ timeoutMs: 10_000 });
const receivers: RawReceiver[] = [];

afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

describe('a response that is compressed', () => {
  const zeros = Buffer.alloc(32 * 1024 * 1024);

  test.each([
    ['gzip', gzipSync(zeros)],
    ['deflate', deflateSync(zeros)],
    ['br', brotliCompressSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
  ])('by %s is taken as the bytes that it is', async (coding, bytes) => {
    const headers = `content-encoding: ${coding}\r\ncontent-length: ${bytes.length}\r\n\r\n`;
    for (const status of ['200 OK', '500 Oops']) {
      const receiver = await receive(respond(`HTTP/1.1 ${status}\r\n${headers}`, bytes));
      const outcome = await post(sender, receiver.url);
      expect(outcome.kind).toBe(status === '200 OK' ? 'delivered' : 'rejected');
      if (outcome.kind !== 'rejected') continue;
      expect(outcome.snippet).toBe(toSnippet(bytes.subarray(0, SNIPPET_BYTES)));
    }
  });
});

describe('a response without an end', () => {
  test.each<[string, string, string, object]>([
    [
      'of chunks after 200 has been accepted',
      OK_CHUNKED,
      '1\r\na\r\n',
      { kind: 'delivered', status: 200 },
    ],
    [
      'of chunks after 500 has been rejected',
      OK_CHUNKED.replace('200', '500'),
      '1\r\na\r\n',
      { kind: 'rejected', status: 500, snippet: 'a'.repeat(SNIPPET_BYTES) },
    ],
    ['of headers is none', 'HTTP/1.1 200 OK\r\n', 'a: b\r\n', tooLarge()],
    ['of trailers is none', `${OK_CHUNKED}0\r\n`, 'a: b\r\n', tooLarge()],
    ['of empty lines is none', '', '\r\n', { kind: 'unreachable', detail: 'response too long' }],
  ])('%s, and its connection is closed', async (_what, head, piece, outcome) => {
    const receiver = await receive(flood(head, piece.repeat(PIECES)));
    expect(await post(sender, receiver.url)).toMatchObject(outcome);
    await expect.poll(() => receiver.openConnections).toBe(0);
  });

  test.each([
    ['of chunks', OK_CHUNKED, '1\r\na\r\n'],
    ['of trailers', `${OK_CHUNKED}0\r\n`, 'a: b\r\n'],
  ])('%s that trickles is left at the deadline', async (_what, head, piece) => {
    const receiver = await receive(trickle(head, piece));
    const outcome = await post(sender, receiver.url, 300);
    const detail = 'timed out reading the response';
    expect(outcome).toMatchObject({ kind: 'unreachable', detail });
    await expect.poll(() => receiver.openConnections).toBe(0);
  });
});

describe('a response that is not HTTP in the strict sense', () => {
  test.each([
    ['a folded header', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nx\r\n\r\n'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nx : y\r\n\r\n'],
    ['a header with an escape', 'HTTP/1.1 200 OK\r\nx: \u001b[2J\r\n\r\n'],
    ['a header with a lone CR', 'HTTP/1.1 200 OK\r\nx: a\rb: c\r\n\r\n'],
    ['lines that end in LF', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n'],
    ['a length and chunks', `${OK_CHUNKED.slice(0, -2)}content-length: 3\r\n\r\n0\r\n\r\n`],
    ['a length with a sign', 'HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\na'],
    [
      'a length that nobody can count',
      `HTTP/1.1 200 OK\r\ncontent-length: ${'9'.repeat(30)}\r\n\r\na`,
    ],
    ['a chunk that nobody can count', `${OK_CHUNKED}${'f'.repeat(17)}\r\na`],
    ['a chunk with a sign', `${OK_CHUNKED}-1\r\na`],
    ['a status below 100', 'HTTP/1.1 099 Less\r\ncontent-length: 0\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 1000 More\r\ncontent-length: 0\r\n\r\n'],
    ['no status line', '<html>hello</html>'],
  ])('is none: %s', async (_what, bytes) => {
    const receiver = await receive(answerWith(bytes));
    const detail = expect.stringMatching(/^invalid response/);
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'unreachable', detail });
    await expect.poll(() => receiver.openConnections).toBe(0);
  });

  test.each([600, 999])('counts as rejected with a status of %i', async (status) => {
    const receiver = await receive(answerWith(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`));
    expect(await post(sender, receiver.url)).toMatchObject({ kind: 'rejected', status });
  });
});

test('a response that points elsewhere, or asks to be remembered, moves nothing', async () => {
  const elsewhere = await receive(answerWith(OK));
  const heads: string[] = [];
  const pointing = await receive((socket) => {
    socket.on('data', (bytes: Buffer) => {
      heads.push(bytes.toString('latin1'));
      const status = heads.length % 2 === 0 ? '308 Moved' : '200 OK';
      socket.write(
        `HTTP/1.1 ${status}\r\nlocation: ${elsewhere.url}\r\nrefresh: 0;url=${elsewhere.url}\r\n` +
          `alt-svc: h2="127.0.0.1:${elsewhere.port}"\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n`,
      );
    });
  });
  for (const kind of ['delivered', 'rejected', 'delivered', 'rejected']) {
    expect(await post(sender, pointing.url)).toMatchObject({ kind });
  }
  expect(elsewhere.connections).toBe(0);
  expect(heads).toHaveLength(4);
  expect(new Set(heads).size, 'each request is as the first one').toBe(1);
});

async function receive(onConnection: (socket: Socket) => void): Promise<RawReceiver> {
  const receiver = await startRawReceiver(onConnection);
  receivers.push(receiver);
  return receiver;
}

function tooLarge(): object {
  const detail = 'response headers too large (UND_ERR_HEADERS_OVERFLOW)';
  return { kind: 'unreachable', detail };
}

function respond(head: string, body: Buffer): (socket: Socket) => void {
  return answerWith(Buffer.concat([Buffer.from(head), body]));
}
