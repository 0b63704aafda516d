import {
  createDestinationPolicy,
  createNameLookup,
  parseWebhookUrl,
  resolveDestination,
} from '@billhook/destinations';
import { startDnsServer } from '@billhook/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answerWith, createLoopbackSender, post, startRawReceiver } from './loopback.ts';
import type { AnswerDnsQuestion, DnsServer } from '@billhook/testing';
import type { RawReceiver } from './loopback.ts';
import type { Sender } from './sender.ts';

/** Two addresses play public ones, and the third an internal one: something listens there as well. */
const FIRST = '127.0.0.1';
const SECOND = '127.0.0.2';
const INTERNAL = '127.0.0.3';

const rules = {
  allowDestinations: [`${FIRST}/32`, `${SECOND}/32`],
  destinationPorts: undefined,
  requireHttps: false,
};
const CLOSE = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';

const refused = expect.objectContaining({ kind: 'refused' });
const delivered = expect.objectContaining({ kind: 'delivered' });

let answer: AnswerDnsQuestion;
let dns: DnsServer;
let sender: Sender;
let receivers: Readonly<Record<'first' | 'second' | 'internal', RawReceiver>>;
let url: string;
let lookup: ReturnType<typeof createNameLookup>;

// Linux has all of 127.0.0.0/8, others 127.0.0.1 alone.
describe.skipIf(process.platform !== 'linux')('a name whose answers change', () => {
  beforeEach(async () => {
    dns = await startDnsServer((question) => answer(question));
    lookup = createNameLookup({ servers: [dns.address] });
    const first = await startRawReceiver(answerWith(CLOSE), { host: FIRST });
    const { port } = first;
    receivers = {
      first,
      second: await startRawReceiver(answerWith(CLOSE), { host: SECOND, port }),
      internal: await startRawReceiver(answerWith(CLOSE), { host: INTERNAL, port }),
    };
    sender = createLoopbackSender({}, { ...rules, lookup });
    url = `http://rebind.example:${port}/webhook`;
  });
  afterEach(async () => {
    sender.destroy();
    await Promise.all(Object.values(receivers).map((receiver) => receiver.close()));
    await dns.close();
  });

  test('after it was registered gets no connection to an internal address', async () => {
    answer = ({ count }) => [count === 1 ? FIRST : INTERNAL];
    expect(await register()).toEqual('allowed');
    expect(await post(sender, url)).toEqual(refused);
    expect(connections()).toEqual({ first: 0, second: 0, internal: 0 });
  });

  test('with every question is judged by the very answer that the connection goes to', async () => {
    answer = ({ count }) => [count % 2 === 1 ? FIRST : INTERNAL];
    for (let count = 1; count <= 20; count += 1) {
      expect(await post(sender, url)).toEqual(count % 2 === 1 ? delivered : refused);
      await expect.poll(() => receivers.first.openConnections).toBe(0);
      expect(questions(), 'nothing is asked between check and connection').toBe(count);
    }
    expect(connections()).toEqual({ first: 10, second: 0, internal: 0 });
  });

  test('among allowed addresses is reached at the one that was answered, and no other', async () => {
    const answered = [FIRST, SECOND, SECOND, FIRST, SECOND];
    answer = ({ count }) => [answered[count - 1] ?? INTERNAL];
    for (const _ of answered) {
      expect(await post(sender, url)).toEqual(delivered);
      await expect.poll(() => receivers.first.openConnections).toBe(0);
      await expect.poll(() => receivers.second.openConnections).toBe(0);
    }
    expect(connections()).toEqual({ first: 2, second: 3, internal: 0 });
  });

  test('from one address to an allowed and an internal one gets no connection at all', async () => {
    answer = ({ count }) => (count === 1 ? [FIRST] : [FIRST, INTERNAL]);
    expect(await register()).toBe('allowed');
    expect(await post(sender, url)).toEqual(refused);
    answer = () => [INTERNAL, FIRST];
    expect(await register()).toBe('refused');
    expect(await post(sender, url)).toEqual(refused);
    expect(connections()).toEqual({ first: 0, second: 0, internal: 0 });
  });

  test('of one family to an internal address gets no connection by the other', async () => {
    answer = ({ type }) => (type === 'A' ? [FIRST] : ['::1']);
    expect(await register()).toBe('refused');
    expect(await post(sender, url)).toEqual(refused);
    answer = ({ type }) => (type === 'A' ? [FIRST] : [`::ffff:${INTERNAL}`]);
    expect(await post(sender, url)).toEqual(refused);
    expect(connections()).toEqual({ first: 0, second: 0, internal: 0 });
  });

  test('to another name is judged by the addresses of that', async () => {
    answer = ({ count }) => ({
      alias: 'inside.example',
      addresses: [count === 1 ? FIRST : INTERNAL],
    });
    expect(await post(sender, url)).toEqual(delivered);
    await expect.poll(() => receivers.first.openConnections).toBe(0);
    expect(await post(sender, url)).toEqual(refused);
    expect(connections()).toEqual({ first: 1, second: 0, internal: 0 });
  });

  test('for many deliveries at once sends none of them to an internal address', async () => {
    answer = ({ count }) => [count % 3 === 0 ? INTERNAL : count % 3 === 1 ? FIRST : SECOND];
    const outcomes: unknown[] = [];
    for (let round = 0; round < 10; round += 1) {
      outcomes.push(...(await Promise.all(Array.from({ length: 8 }, () => post(sender, url)))));
    }
    const { first, second, internal } = connections();
    expect(internal).toBe(0);
    expect(first + second).toBe(outcomes.filter((each) => delivered.asymmetricMatch(each)).length);
    expect(outcomes).toContainEqual(refused);
  });
});

/** What the registration would say. */
async function register(): Promise<string> {
  const parsed = parseWebhookUrl(url);
  if (parsed.kind === 'invalid') throw new Error(parsed.reason);
  const { addresses } = createDestinationPolicy(rules);
  const options = { timeoutMs: 5_000, lookup };
  return (await resolveDestination(parsed.hostname, addresses, options)).kind;
}

function connections(): Readonly<Record<keyof typeof receivers, number>> {
  const { first, second, internal } = receivers;
  return {
    first: first.connections,
    second: second.connections,
    internal: internal.connections,
  };
}

function questions(): number {
  return dns.questions.filter(({ type }) => type === 'A').length;
}
