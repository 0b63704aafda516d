import { createLog } from '@billhook/runtime';
import { createSecret } from '@billhook/secrets';
import { startReceiver, type Receiver } from '@billhook/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';

import { createLoopbackSender } from '../http/loopback.ts';
import { createTarget } from '../http/target.ts';
import { endpoint, snapshot } from '../subscriptions/messages.fixture.ts';
import { createSubscriptionView } from '../subscriptions/view.ts';
import { createWebhookHeaders } from '../webhook/headers.ts';
import { createSigningKey } from '../webhook/signature.ts';
import type { PingLimits } from './ping-queue.ts';
import { createPings, type Pings } from './ping.ts';
import { createWebhookSender } from './webhook-sender.ts';

const ANSWER_AFTER_MS = 50;
const TIMEOUT_MS = 5_000;
const LIMITS: PingLimits = { maxUnderWay: 6, maxPerOrigin: 2, maxWaiting: 40 };

const log = createLog({ level: 'silent', service: 'test' });
const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

describe('pings', () => {
  test('of all calls together are bounded, also those to one origin', async () => {
    const receivers = await startReceivers(5);
    const pings = pingsOf(receivers, { endpointsEach: 4 });
    const asked = Promise.all([ask(pings), ask(pings)]);
    await expect.poll(() => pings.usage()).toEqual({ underWay: LIMITS.maxUnderWay, waiting: 34 });
    const results = await asked;
    expect(pings.usage()).toEqual({ underWay: 0, waiting: 0 });
    expect(results.flat().map(({ outcome }) => outcome.kind)).toEqual(Array(40).fill('delivered'));
    expect(receivers.mostAtOnce()).toBe(LIMITS.maxUnderWay);
    expect(receivers.mostAtOnceToOne()).toBe(LIMITS.maxPerOrigin);
  });

  test('of a small call need not wait for all those of a large one', async () => {
    const receivers = await startReceivers(5);
    const pings = pingsOf(receivers, { endpointsEach: 4 });
    const ended: string[] = [];
    const large = ask(pings).then(() => ended.push('large'));
    const small = ask(pings, urlOf(receivers.all[4], 3)).then(() => ended.push('small'));
    await Promise.all([large, small]);
    expect(ended).toEqual(['small', 'large']);
  });

  test('to a receiver that hangs take no places from the others', async () => {
    const receivers = await startReceivers(3);
    const [hanging, ...healthy] = receivers.all;
    hanging?.answer(() => ({ kind: 'hang' }));
    const pings = pingsOf(receivers, { endpointsEach: 6, timeoutMs: 1_000 });
    const results = await ask(pings);
    for (const { url, outcome } of results) {
      const isHealthy = healthy.some(({ port }) => url.includes(`:${port}/`));
      expect(outcome.kind, url).toBe(isHealthy ? 'delivered' : 'unreachable');
    }
    expect(hanging?.requests).toHaveLength(LIMITS.maxPerOrigin);
    const waited = results.filter(({ outcome }) => outcome.durationMs === 0);
    expect(waited).toHaveLength(4);
    expect(waited[0]?.outcome).toMatchObject({ kind: 'unreachable', detail: 'timed out' });
  });

  test('begin no more when the caller has gone, and leave the places to others', async () => {
    const receivers = await startReceivers(5);
    const pings = pingsOf(receivers, { endpointsEach: 4 });
    const gone = new AbortController();
    const abandoned = ask(pings, '', gone.signal);
    await expect.poll(() => receivers.all.flatMap(({ requests }) => requests).length).toBe(6);
    gone.abort();
    await abandoned;
    await sleep(2 * ANSWER_AFTER_MS);
    expect(receivers.all.flatMap(({ requests }) => requests)).toHaveLength(6);
    expect(await ask(pings, urlOf(receivers.all[0], 0))).toMatchObject([
      { outcome: { kind: 'delivered' } },
    ]);
  });

  test('that would wait behind too many are refused, and of one call there may be any number', async () => {
    const receivers = await startReceivers(6);
    const pings = pingsOf(receivers, { endpointsEach: 10 });
    const large = ask(pings);
    await expect.poll(() => receivers.all.flatMap(({ requests }) => requests).length).toBe(6);
    await expect(ask(pings, urlOf(receivers.all[0], 0))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_PINGS',
    });
    expect(await large).toHaveLength(60);
    expect(await ask(pings, urlOf(receivers.all[0], 0))).toHaveLength(1);
  });
});

interface Receivers {
  readonly all: readonly Receiver[];
  readonly mostAtOnce: () => number;
  readonly mostAtOnceToOne: () => number;
}

/** Starts receivers that take their time, and counts what each has to answer at a time. */
async function startReceivers(count: number): Promise<Receivers> {
  const unanswered = Array.from({ length: count }, () => 0);
  let mostAtOnce = 0;
  let mostAtOnceToOne = 0;
  const start = (index: number) =>
    startReceiver({
      async answer() {
        unanswered[index] = (unanswered[index] ?? 0) + 1;
        mostAtOnce = Math.max(mostAtOnce, sum(unanswered));
        mostAtOnceToOne = Math.max(mostAtOnceToOne, ...unanswered);
        await sleep(ANSWER_AFTER_MS);
        unanswered[index] -= 1;
        return { kind: 'respond', status: 204 };
      },
    });
  const all = await Promise.all(Array.from({ length: count }, (_, index) => start(index)));
  cleanUps.push(() => Promise.all(all.map((receiver) => receiver.close())));
  return { all, mostAtOnce: () => mostAtOnce, mostAtOnceToOne: () => mostAtOnceToOne };
}

/** Makes the pings of a dispatcher that knows some endpoints at each receiver. */
function pingsOf(
  { all }: Receivers,
  { endpointsEach, timeoutMs = TIMEOUT_MS }: { endpointsEach: number; timeoutMs?: number },
): Pings {
  const sender = createLoopbackSender({ connectionsPerOrigin: 64, maxOrigins: 64 });
  cleanUps.push(() => sender.destroy());
  const view = createSubscriptionView();
  const endpoints = all.flatMap((receiver) =>
    Array.from({ length: endpointsEach }, (_, index) => ({
      ...endpoint({ endpointId: `ep_${receiver.port}_${index}` }),
      url: urlOf(receiver, index),
    })),
  );
  view.receive(snapshot(1, endpoints));
  const key = createSigningKey(createSecret());
  const webhookSender = createWebhookSender({
    sender,
    view,
    targetOf: ({ url }) => ({
      address: createTarget(url),
      headers: [],
      keys: [key],
    }),
    headersOf: createWebhookHeaders({ version: 'test', random: Math.random }),
    maySend: () => true,
    log,
    timeoutMs,
  });
  const barrier = { awaitCurrent: () => Promise.resolve(1) };
  return createPings({ barrier, view, sender: webhookSender }, { timeoutMs, limits: LIMITS });
}

function urlOf(receiver: Receiver | undefined, index: number): string {
  return `${receiver?.url}/${index}`;
}

function ask({ ping }: Pings, url = '', signal = new AbortController().signal) {
  return ping(url, { tenant: 'default', signal });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((left, right) => left + right, 0);
}
