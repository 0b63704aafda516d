import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startReceiver } from './receiver.ts';
import type { Receiver } from './receiver.ts';

describe('a receiver', () => {
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver.close());

  test('keeps method, path, headers and the exact bytes of the body', async () => {
    await fetch(`${receiver.url}?a=1`, { method: 'POST', body: 'é\n', headers: { 'x-a': 'b' } });

    const [received] = await receiver.waitFor(1, 1_000);

    expect(received).toMatchObject({
      method: 'POST',
      path: '/webhook?a=1',
      headers: { 'x-a': 'b' },
    });
    expect(received?.body).toEqual(Buffer.from('é\n'));
    expect(Date.now() - (received?.receivedAtMs ?? 0)).toBeLessThan(5_000);
  });

  test('answers 200 until it is told otherwise', async () => {
    expect((await fetch(receiver.url)).status).toBe(200);

    receiver.answer(() => ({ kind: 'respond', status: 503, headers: { 'retry-after': '7' } }));
    const answer = await fetch(receiver.url);

    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '7']);
  });

  test('answers late when it is told to', async () => {
    receiver.answer(() => ({ kind: 'respond', status: 200, body: 'late', delayMs: 50 }));
    const startMs = performance.now();

    expect(await (await fetch(receiver.url)).text()).toBe('late');
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(45);
  });

  test('hangs until the sender gives up, or the receiver closes', async () => {
    receiver.answer(() => ({ kind: 'hang' }));

    const givenUp = fetch(receiver.url, { signal: AbortSignal.timeout(50) });
    await expect(givenUp).rejects.toThrow(/timeout/);

    const cutOff = expect(fetch(receiver.url)).rejects.toThrow('fetch failed');
    await receiver.waitFor(2, 1_000);
    await receiver.close();
    await cutOff;
  });

  test('resets the connection', async () => {
    receiver.answer(() => ({ kind: 'reset' }));

    expect(await failureOf(receiver.url)).toBe('ECONNRESET');
  });

  test('resets the connection in the middle of a body', async () => {
    const after = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf';
    receiver.answer(() => ({ kind: 'reset', after }));

    const read = fetch(receiver.url).then((response) => response.text());
    await expect(read).rejects.toThrow(/terminated|fetch failed/);
  });

  test('answers bytes that are no HTTP', async () => {
    receiver.answer(() => ({ kind: 'garbage', bytes: 'hello' }));

    expect(await failureOf(receiver.url)).toMatch(/^HPE_/);
  });

  test('trickles a body without an end', async () => {
    receiver.answer(() => ({ kind: 'trickle', status: 200, everyMs: 5 }));
    const answer = await fetch(receiver.url, { signal: AbortSignal.timeout(100) });

    await expect(answer.text()).rejects.toThrow(/timeout/);
  });

  test('says how many requests came when waiting ends without the wanted ones', async () => {
    await fetch(receiver.url);

    await expect(receiver.waitFor(2, 20)).rejects.toThrow(
      'waited 20 ms for 2 requests; 1 requests came',
    );
  });

  test('forgets all but the latest requests when it is told to', async () => {
    await receiver.close();
    receiver = await startReceiver({ keepLatest: 2 });

    for (const path of ['/1', '/2', '/3']) await fetch(new URL(path, receiver.url));

    expect(receiver.requests.map(({ path }) => path)).toEqual(['/2', '/3']);
  });

  test('comes back on the port of one that closed', async () => {
    await receiver.close();
    receiver = await startReceiver({ port: receiver.port });

    expect((await fetch(receiver.url)).status).toBe(200);
  });
});

function failureOf(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    request(url)
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      .on('response', () => resolve(undefined))
      .end();
  });
}
