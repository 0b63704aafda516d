import { startReceiver } from '@billhook/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { BODY, createLoopbackSender, post } from './loopback.ts';
import { createTarget } from './target.ts';
import type { Receiver, ReceiverAnswer } from '@billhook/testing';
import type { Sender } from './sender.ts';

const sender: Sender = createLoopbackSender();
let receiver: Receiver | undefined;

afterEach(async () => {
  await receiver?.close();
});

describe('what is sent', () => {
  test('is one POST with the body, the headers and its length, and nothing decompressed asked', async () => {
    const { url, requests } = await receive({ kind: 'respond', status: 200 });
    expect((await post(sender, `${url}?a=%20b#c`)).kind).toBe('delivered');
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ method: 'POST', path: '/webhook?a=%20b', body: BODY });
    expect(Object.keys(requests[0]?.headers ?? {}).toSorted()).toEqual([
      'connection',
      'content-length',
      'content-type',
      'host',
    ]);
    expect(requests[0]?.headers['content-length']).toBe(`${BODY.length}`);
  });

  test('is nothing when it may not begin once the connection is there', async () => {
    const { url, requests } = await receive({ kind: 'respond', status: 200 });
    const { promise, resolve } = Promise.withResolvers();
    const request = { target: createTarget(url), headers: [], body: BODY, mayBegin: () => false };
    sender.send(request, resolve);
    expect(await promise).toMatchObject({ detail: 'not sent (NOT_SENT)', notSent: true });
    expect(requests).toHaveLength(0);
    expect((await post(sender, url)).kind).toBe('delivered');
  });

  test.each(['a\r\nx: y', 'a\nb', 'a\rb', 'a\u0000b', 'a\u2028b'])(
    'is nothing when a header would be more than one: %j',
    async (value) => {
      const { url, requests } = await receive({ kind: 'respond', status: 200 });
      const { promise, resolve } = Promise.withResolvers();
      sender.send({ target: createTarget(url), headers: ['x', value], body: BODY }, resolve);
      expect(await promise).toMatchObject({
        kind: 'unreachable',
        detail: 'failed (UND_ERR_INVALID_ARG)',
      });
      expect(requests).toHaveLength(0);
    },
  );

  test('that cannot be a request is an outcome after send has returned', async () => {
    let hasReturned = false;
    const outcome = await new Promise((resolve) => {
      const request = {
        target: createTarget('http://127.0.0.1:4/'),
        headers: ['x', 'a\nb'],
        body: BODY,
      };
      sender.send(request, (done) => resolve({ done, hasReturned }));
      hasReturned = true;
    });
    expect(outcome).toMatchObject({
      hasReturned: true,
      done: { kind: 'unreachable', detail: 'failed (UND_ERR_INVALID_ARG)' },
    });
  });
});

describe('an answer', () => {
  test.each([200, 201, 202, 204, 299])('of %i is delivered', async (status) => {
    const { url } = await receive({ kind: 'respond', status });
    expect(await post(sender, url)).toEqual({
      kind: 'delivered',
      status,
      durationMs: expect.any(Number),
    });
  });

  test.each([300, 304, 400, 401, 404, 410, 418, 429, 500, 503, 599])(
    'of %i is rejected',
    async (status) => {
      const body = status === 304 ? '' : 'no\u0000pe';
      const { url } = await receive({ kind: 'respond', status, body });
      expect(await post(sender, url)).toEqual({
        kind: 'rejected',
        status,
        durationMs: expect.any(Number),
        retryAfterMs: undefined,
        snippet: status === 304 ? '' : 'no\\u{0}pe',
      });
    },
  );

  test.each([301, 302, 303, 307, 308])('of %i is rejected, and not followed', async (status) => {
    const headers = { location: '/elsewhere' };
    const { url, requests } = await receive({ kind: 'respond', status, headers });
    expect(await post(sender, url)).toMatchObject({ kind: 'rejected', status });
    expect(requests.map(({ path }) => path)).toEqual(['/webhook']);
  });

  test('that asks for patience says until when', async () => {
    const headers = { 'retry-after': '120' };
    const { url } = await receive({ kind: 'respond', status: 503, headers });
    const beforeMs = Date.now();
    const outcome = await post(sender, url);
    const retryAfterMs = outcome.kind === 'rejected' ? (outcome.retryAfterMs ?? 0) : 0;
    expect(retryAfterMs).toBeGreaterThanOrEqual(beforeMs + 120_000);
    expect(retryAfterMs).toBeLessThanOrEqual(Date.now() + 120_000);
  });

  test('that was rejected is kept in its first 256 bytes', async () => {
    const body = `${'a'.repeat(250)}€€€`;
    const { url } = await receive({ kind: 'respond', status: 500, body });
    expect(await post(sender, url)).toMatchObject({ snippet: `${'a'.repeat(250)}€€` });
  });

  test('that claims to be compressed is read as it is', async () => {
    const headers = { 'content-encoding': 'gzip' };
    const { url } = await receive({ kind: 'respond', status: 500, headers, body: 'not gzip' });
    expect(await post(sender, url)).toMatchObject({ kind: 'rejected', snippet: 'not gzip' });
  });
});

describe('an outcome', () => {
  test('is told in spite of a listener that throws for another', async () => {
    const { url } = await receive({ kind: 'respond', status: 200 });
    const thrown = catchUncaught();
    sender.send({ target: createTarget(url), headers: [], body: BODY }, () => {
      throw new Error('a broken listener');
    });
    expect(await thrown).toMatchObject({ message: 'a broken listener' });
    expect(await post(sender, url)).toMatchObject({ kind: 'delivered' });
  });
});

async function receive(answer: ReceiverAnswer): Promise<Receiver> {
  receiver = await startReceiver({ answer: () => answer });
  return receiver;
}

/** Takes the place of the test runner's own listeners for one error. */
function catchUncaught(): Promise<unknown> {
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  return new Promise((resolve) => {
    process.once('uncaughtException', (error) => {
      for (const listener of listeners) process.on('uncaughtException', listener);
      resolve(error);
    });
  });
}
