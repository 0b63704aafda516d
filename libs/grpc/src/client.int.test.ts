import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { subscriptionV1 } from '@billhook/contracts';
import { describe, expect, test } from 'vitest';
import { call, openStream } from './client.ts';
import { RemoteError } from './remote-error.ts';
import type { GrpcServer } from './server.ts';
import {
  answer,
  createInvoiceClient,
  createSubscriptionClient,
  message,
  startTestServer,
} from './servers.fixture.ts';

const timeoutMs = 5_000;
const fromStart = { revision: 0n, eventId: '', format: 0 };

describe('a gRPC client', () => {
  test('spreads its calls over several copies, named by address', async () => {
    const [first, second] = [await startNamed('first'), await startNamed('second')];
    const seen = await callOften(`${first.address},${second.address}`);
    expect(seen).toEqual(new Set(['first', 'second']));
  });

  test('spreads its calls over several copies, named by name', async () => {
    const [first, second] = [await startNamed('first'), await startNamed('second')];
    const [one, two] = [first, second].map(({ address }) => `localhost:${address.split(':')[1]}`);
    expect(await callOften(`dns:///${one},${two}`)).toEqual(new Set(['first', 'second']));
  });

  test('goes on while one of its copies cannot be resolved', async () => {
    const server = await startNamed('only');
    expect(await callOften(`no-such-host.invalid:1,${server.address}`)).toEqual(new Set(['only']));
  });

  test('repeats elsewhere what a dying copy did not answer', async () => {
    const [first, second] = [await startNamed('first'), await startNamed('second')];
    const client = createInvoiceClient(`${first.address},${second.address}`);
    const calls = Array.from({ length: 200 }, async (_, index) => {
      await sleep(index * 2);
      return call(client.getInvoice, { invoiceId: 'x' }, { timeoutMs });
    });
    await sleep(150);
    await first.stop(0);
    const answers = await Promise.all(calls);
    expect(answers).toHaveLength(200);
    expect(answers.at(-1)).toEqual(answer('second'));
  });

  test('finds a copy again that was restarted, without a failed call', async () => {
    const [first, second] = [await startNamed('first'), await startNamed('second')];
    const client = createInvoiceClient(`${first.address},${second.address}`);
    const names = new Set<string | undefined>();
    const callUntilFound = async (): Promise<void> => {
      const giveUpAtMs = performance.now() + 4 * timeoutMs;
      while (!names.has('again') && performance.now() < giveUpAtMs) {
        const { invoice } = await call(client.getInvoice, { invoiceId: 'x' }, { timeoutMs });
        names.add(invoice?.invoiceId);
        await sleep(5);
      }
    };
    const calling = Promise.all([callUntilFound(), callUntilFound(), callUntilFound()]);
    await sleep(200);
    await first.stop(timeoutMs);
    await startNamed('again', first.address);
    await calling;
    expect(names).toEqual(new Set(['first', 'second', 'again']));
  });

  test('says soon that a service is away', async () => {
    const server = await startNamed('gone');
    await server.stop(0);
    const client = createInvoiceClient(server.address);
    const beganMs = performance.now();
    const failed = call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs });
    await expect(failed).rejects.toThrow(RemoteError);
    await expect(failed).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: undefined });
    expect(performance.now() - beganMs).toBeLessThan(1_000);
  });
});

describe('a stream', () => {
  test('brings its messages in order, and ends with the server', async () => {
    const { address } = await startTestServer({
      watch: () => manyMessages(1_000),
    });
    const received: unknown[] = [];
    for await (const response of openStream(createSubscriptionClient(address).watch, fromStart)) {
      received.push(response);
    }
    expect(received).toEqual(Array.from({ length: 1_000 }, (_, index) => message(index + 1)));
  });

  test('holds the sender back while its reader is slow, and lets it go with the reader', async () => {
    let sent = 0;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const { address } = await startTestServer({
      watch: async function* watch() {
        try {
          for (;;) {
            sent += 1;
            yield largeMessage();
          }
        } finally {
          resolve();
        }
      },
    });
    const stream = openStream(createSubscriptionClient(address).watch, fromStart);
    await stream.next();
    await sleep(300);
    const sentMeanwhile = sent;
    expect(sentMeanwhile).toBeLessThan(500);
    await sleep(100);
    expect(sent).toBe(sentMeanwhile);
    await stream.return();
    await ended;
  });

  test('is cancelled by its signal', async () => {
    const abort = new AbortController();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const { address } = await startTestServer({
      watch: async function* watch(_, { signal }) {
        yield message(1);
        await once(signal, 'abort');
        resolve();
      },
    });
    const { watch } = createSubscriptionClient(address);
    const stream = openStream(watch, fromStart, { signal: abort.signal });
    await stream.next();
    const next = stream.next();
    abort.abort();
    await expect(next).rejects.toMatchObject({ code: 'CANCELLED' });
    await aborted;
  });

  test('that breaks ends with the error of its handler', async () => {
    const { address } = await startTestServer({
      watch: brokenStream,
    });
    const stream = openStream(createSubscriptionClient(address).watch, fromStart);
    await stream.next();
    await expect(stream.next()).rejects.toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL' });
  });
});

async function* manyMessages(count: number) {
  for (let revision = 1; revision <= count; revision += 1) {
    yield message(revision);
  }
}

async function* brokenStream() {
  yield message(1);
  throw new Error('no more');
}

/** A server whose every answer is its name. */
function startNamed(name: string, address?: string): Promise<GrpcServer> {
  const port = Number(address?.split(':')[1]);
  return startTestServer({
    getInvoice: async () => answer(name),
    ...(address === undefined ? {} : { address: { host: '127.0.0.1', port, text: address } }),
  });
}

/** Calls until each copy had its chance to connect. */
async function callOften(target: string): Promise<Set<string | undefined>> {
  const client = createInvoiceClient(target);
  const seen = new Set<string | undefined>();
  for (let calls = 0; calls < 50; calls += 1) {
    const { invoice } = await call(client.getInvoice, { invoiceId: 'a' }, { timeoutMs });
    seen.add(invoice?.invoiceId);
    await sleep(2);
  }
  return seen;
}

function largeMessage(): subscriptionV1.WatchResponse {
  const removedEndpointIds = ['x'.repeat(16 * 1024)];
  return subscriptionV1.WatchResponse.fromPartial({
    message: { $case: 'changes', value: { removedEndpointIds } },
  });
}
