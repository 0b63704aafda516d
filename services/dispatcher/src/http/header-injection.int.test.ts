import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BODY, createLoopbackSender, startRawReceiver } from './loopback.ts';
import { createTarget } from './target.ts';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { RawReceiver } from './loopback.ts';

const sender = createLoopbackSender();
let receiver: RawReceiver;
/** What came over the connections since the last exchange began. */
let received = Buffer.alloc(0);

beforeAll(async () => {
  receiver = await startRawReceiver((socket) => {
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.includes(BODY)) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
  });
});

afterAll(async () => {
  sender.destroy();
  await receiver.close();
});

function send(headers: string[]): Promise<AttemptOutcome> {
  received = Buffer.alloc(0);
  const target = createTarget(receiver.url);
  return new Promise((resolve) => sender.send({ target, headers, body: BODY }, resolve));
}

/** The lines of the head of a request, as bytes that are a character each. */
function linesOf(request: Buffer): readonly string[] {
  const [head = ''] = request.toString('latin1').split('\r\n\r\n');
  return head.split('\r\n');
}

const hostile = fc.string({
  unit: fc.constantFrom('a', 'é', ' ', ':', '\r', '\n', '\0', '\t', '\u0085', '\u010a', '\u2028'),
  minLength: 1,
  maxLength: 6,
});

test('a header is one line of the request, or nothing of it is sent at all', async () => {
  const plain = linesOf((await send(['x-own', 'a']), received));
  expect(plain).toContain('x-own: a');
  await fc.assert(
    fc.asyncProperty(hostile, hostile, async (name, value) => {
      for (const headers of [
        ['x-own', value],
        [name, 'a'],
      ]) {
        const outcome = await send(headers);
        if (outcome.kind !== 'delivered') {
          expect(outcome).toMatchObject({ kind: 'unreachable' });
          expect(received).toHaveLength(0);
          continue;
        }
        const lines = linesOf(received);
        expect(lines).toHaveLength(plain.length);
        expect(lines).toContain(headers.join(': '));
        for (const line of lines) expect(line).not.toMatch(/[\r\n\0]/);
        expect(received.indexOf('\r\n\r\n') + 4 + BODY.length).toBe(received.length);
      }
    }),
    { numRuns: 200 },
  );
});

test.each(['content-length', 'transfer-encoding', 'connection', 'host', 'expect', 'upgrade'])(
  'a second %s never frames a request, whoever let it through',
  async (name) => {
    const outcome = await send([name, name === 'content-length' ? '1' : 'x']);
    if (outcome.kind !== 'delivered') {
      expect(received).toHaveLength(0);
      return;
    }
    expect(linesOf(received).filter((line) => line.startsWith('content-length:'))).toEqual([
      `content-length: ${BODY.length}`,
    ]);
    expect(linesOf(received).filter((line) => /^host:/i.test(line))).toHaveLength(1);
  },
);
