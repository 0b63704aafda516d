import { NameNotResolvedError, parseWebhookUrl } from '@billhook/destinations';
import { readHostileDestinations } from '@billhook/testing';
import { isIP } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLoopbackSender, post, startRawReceiver } from './loopback.ts';
import type { DestinationRules, Lookup } from '@billhook/destinations';
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
      sender = createLoopbackSender({}, { allowDestinations: [] });
      expect(await post(sender, `http://${host}:${receiver.port}/`)).toMatchObject({
        kind: 'refused',
        detail: expect.stringContaining('refused'),
      });
      expect(receiver.connections).toBe(0);
    },
  );

  test.each<[string, string, Partial<DestinationRules>]>([
    ['http is not allowed', 'http://receiver.example:PORT/', { requireHttps: true }],
    ['http is not allowed for a number', 'http://127.0.0.1:PORT/', { requireHttps: true }],
    ['its port is that of another protocol', 'https://receiver.example:25/', {}],
    [
      'its port is not allowed',
      'http://127.0.0.1:PORT/',
      { destinationPorts: [{ first: 443, last: 443 }] },
    ],
  ])('is refused, and no name looked up, when %s', async (_reason, url, rules) => {
    let lookups = 0;
    const lookup = () => {
      lookups += 1;
      return Promise.resolve([loopback]);
    };
    sender = createLoopbackSender({}, { lookup, ...rules });
    expect(await post(sender, url.replace('PORT', `${receiver.port}`))).toMatchObject({
      kind: 'refused',
      detail: expect.stringMatching(/^refused address \(https?:/),
    });
    expect({ lookups, connections: receiver.connections }).toEqual({ lookups: 0, connections: 0 });
  });

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

test('no hostile address of the table gets a connection, and each is told to be refused', async () => {
  const entries = new Map(readHostileDestinations().map((entry) => [hostOf(entry.url), entry]));
  const strict = createLoopbackSender(
    { maxOrigins: 1_000 },
    {
      allowDestinations: [],
      lookup: async (hostname) =>
        (entries.get(hostname)?.addresses ?? []).map((address) => ({
          address,
          family: isIP(address),
        })),
    },
  );
  sender = strict;
  const urls = readHostileDestinations().flatMap(({ url }) => {
    const parsed = parseWebhookUrl(url);
    return parsed.kind === 'ok' ? [parsed.url] : [];
  });
  expect(urls.length).toBeGreaterThan(150);
  const outcomes = await Promise.all(urls.map((url) => post(strict, url)));
  expect(outcomes.map(({ kind }, index) => `${kind} ${urls[index]}`)).toEqual(
    urls.map((url) => `refused ${url}`),
  );
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

/** As a connection has it; of a table's URL that is none, the text itself. */
function hostOf(url: string): string {
  return URL.parse(url)?.hostname ?? url;
}

function createSenderWith(lookup: Lookup): Sender {
  return createLoopbackSender({}, { lookup });
}

function named(): string {
  return `http://receiver.example:${receiver.port}/`;
}
