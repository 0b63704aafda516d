import { NameNotResolvedError } from '@billhook/destinations';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLoopbackSender, post, startRawReceiver } from './loopback.ts';
import type { Lookup } from '@billhook/destinations';
import type { RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

const loopback = { address: '127.0.0.1', family: 4 };
const internal = { address: '10.0.0.1', family: 4 };

let receiver: RawReceiver;
let sender: Sender | undefined;

beforeEach(async () => {
  receiver = await startRawReceiver((socket) => {
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  });
});

afterEach(async () => {
  sender?.destroy();
  await receiver.close();
});

describe('an address that deliveries may not reach', () => {
  test.each(['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1'])(
    'is refused without a connection when the host is %s',
    async (host) => {
      sender = createLoopbackSender({}, { allow: [] });
      expect(await post(sender, `http://${host}:${receiver.port}/`)).toMatchObject({
        kind: 'refused',
        detail: expect.stringContaining('refused'),
      });
      expect(receiver.connections).toBe(0);
    },
  );

  test('is refused when it is one of several of a name', async () => {
    sender = createSenderWith(() => Promise.resolve([loopback, internal]));
    expect(await post(sender, named())).toMatchObject({
      kind: 'refused',
      detail: expect.stringContaining('10.0.0.1'),
    });
    expect(receiver.connections).toBe(0);
  });

  test('is refused when a name gets it after it was checked and connected to', async () => {
    const answers = [loopback, internal];
    sender = createSenderWith(() => Promise.resolve(answers.splice(0, 1)));
    expect(await post(sender, named())).toMatchObject({ kind: 'delivered' });
    await expect.poll(() => receiver.openConnections).toBe(0);
    expect(await post(sender, named())).toMatchObject({ kind: 'refused' });
    expect(receiver.connections).toBe(1);
  });
});

describe('a name', () => {
  test('is looked up once for a connection, so that what was checked is what is reached', async () => {
    let lookups = 0;
    sender = createSenderWith(() => {
      lookups += 1;
      return Promise.resolve([loopback]);
    });
    expect(await post(sender, named())).toMatchObject({ kind: 'delivered' });
    expect(lookups).toBe(1);
  });

  test('that does not resolve is unreachable', async () => {
    const error = new NameNotResolvedError('receiver.example', 'ENOTFOUND');
    sender = createSenderWith(() => Promise.reject(error));
    const detail = 'name not resolved (ENOTFOUND)';
    expect(await post(sender, named())).toMatchObject({ kind: 'unreachable', detail });
  });

  test('whose lookup hangs is unreachable at the deadline', async () => {
    sender = createSenderWith(() => new Promise(() => undefined));
    expect(await post(sender, named(), 200)).toMatchObject({
      kind: 'unreachable',
      detail: 'timed out connecting',
    });
  });
});

function createSenderWith(lookup: Lookup): Sender {
  return createLoopbackSender({}, { lookup });
}

function named(): string {
  return `http://receiver.example:${receiver.port}/`;
}
