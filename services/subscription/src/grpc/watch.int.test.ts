import { setTimeout as sleep } from 'node:timers/promises';
import type { subscriptionV1 } from '@billhook/contracts';
import { createSecretBox } from '@billhook/secrets';
import { expect, test } from 'vitest';
import { useSubscriptions } from '../testing/subscription-service.ts';
import type { Watcher } from '../testing/subscription-service.ts';
import { WATCH_FORMAT } from './watch.ts';

const subscriptions = useSubscriptions();

/** What a watcher knows of the set. */
interface View {
  revision: number;
  eventId: string;
  readonly snapshots: number;
  readonly endpoints: Map<string, subscriptionV1.WatchedEndpoint>;
}

function emptyView(): View {
  return { revision: -1, eventId: '', snapshots: 0, endpoints: new Map() };
}

/** The view after one more message. */
function take(before: View, { message }: subscriptionV1.WatchResponse): View {
  if (message === undefined) {
    throw new Error('A message of an unknown kind');
  }
  const isNew = message.$case === 'snapshot' && message.value.first;
  const view = isNew ? { ...emptyView(), snapshots: before.snapshots + 1 } : before;
  for (const endpoint of message.value.endpoints) {
    view.endpoints.set(endpoint.endpointId, endpoint);
  }
  if (message.$case === 'changes') {
    message.value.removedEndpointIds.forEach((id) => view.endpoints.delete(id));
  }
  if (message.$case === 'changes' || message.value.last) {
    view.revision = Number(message.value.revision);
    view.eventId = message.value.eventId;
  }
  return view;
}

/** Takes messages until the view has reached a revision. */
async function follow(watcher: Watcher, revision: number, from = emptyView()): Promise<View> {
  let view = from;
  while (view.revision < revision) {
    view = take(view, await watcher.next());
  }
  return view;
}

test('an empty set is one empty chunk', async () => {
  const copy = await subscriptions.start();
  expect(await copy.watch().next()).toEqual({
    message: {
      $case: 'snapshot',
      value: { revision: 0n, eventId: '', first: true, last: true, endpoints: [] },
    },
    format: WATCH_FORMAT,
  });
});

test('a watch shows an endpoint with its encrypted secrets, and each change soon', async () => {
  const copy = await subscriptions.start();
  const url = 'http://127.0.0.1:9/one';
  const { endpoint, secret } = await copy.register(url, 'a', 'tenant');
  const { endpointId } = endpoint;
  const watcher = copy.watch();
  const view = await follow(watcher, await copy.revision());
  const watched = view.endpoints.get(endpointId);
  expect(watched).toMatchObject({
    tenant: 'tenant',
    endpointId,
    url,
    state: 'ENDPOINT_STATE_ACTIVE',
    subscriptions: [{ event: 'a' }],
    secrets: [{ validUntil: undefined }],
    renewTime: endpoint.createTime,
  });
  const box = createSecretBox(subscriptions.config.secretKeys);
  const [encrypted] = watched?.secrets ?? [];
  expect(box.decrypt(encrypted?.ciphertext ?? Buffer.alloc(0), endpointId)).toBe(secret);

  const startedMs = performance.now();
  await copy.change('pauseEndpoint', endpointId, 'tenant');
  const paused = await follow(watcher, await copy.revision(), view);
  expect(performance.now() - startedMs).toBeLessThan(500);
  expect(paused.endpoints.get(endpointId)?.state).toBe('ENDPOINT_STATE_PAUSED');
  await copy.unregister(url, 'a', 'tenant');
  const gone = await follow(watcher, await copy.revision(), paused);
  expect(gone.endpoints.has(endpointId)).toBe(false);
  expect(gone.snapshots).toBe(1);
});

test('a rotated secret is added in front of the one before', async () => {
  const copy = await subscriptions.start();
  const { endpoint, secret } = await copy.register('http://127.0.0.1:9/rotated');
  const { endpointId } = endpoint;
  const rotated = await copy.rotate(endpointId);
  const view = await follow(copy.watch(), await copy.revision());
  const box = createSecretBox(subscriptions.config.secretKeys);
  const secrets = view.endpoints.get(endpointId)?.secrets ?? [];
  expect(secrets.map(({ ciphertext }) => box.decrypt(ciphertext, endpointId))).toEqual([
    rotated.secret,
    secret,
  ]);
  expect(secrets[0]?.validUntil).toBeUndefined();
  expect(secrets[1]?.validUntil).toEqual(rotated.previousValidUntil);
});

test('what another copy appends comes by notification', async () => {
  const near = await subscriptions.start();
  const far = await subscriptions.start();
  await near.register('http://127.0.0.1:9/base');
  const watcher = far.watch();
  let view = await follow(watcher, await near.revision());
  for (let number = 0; number < 5; number += 1) {
    await sleep(30);
    const startedMs = performance.now();
    const { endpointId } = (await near.register(`http://127.0.0.1:9/far/${number}`)).endpoint;
    view = await follow(watcher, await near.revision(), view);
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(view.endpoints.has(endpointId)).toBe(true);
  }
});

test('a watch resumes where it broke, at another copy', async () => {
  const first = await subscriptions.start();
  await first.register('http://127.0.0.1:9/resume');
  const view = await follow(first.watch(), await first.revision());
  await first.stop();
  const second = await subscriptions.start();
  await second.register('http://127.0.0.1:9/resumed');
  const watcher = second.watch({ revision: view.revision, eventId: view.eventId });
  const resumed = await follow(watcher, await second.revision(), view);
  expect(resumed.snapshots).toBe(1);
  expect([...resumed.endpoints.values()].map(({ url }) => url)).toContain(
    'http://127.0.0.1:9/resumed',
  );
});

test('a message has all fields of its format, and a view of another one gets a new snapshot', async () => {
  const copy = await subscriptions.start();
  const { endpoint } = await copy.register('http://127.0.0.1:9/format');
  const view = await follow(copy.watch(), await copy.revision());
  // Whoever adds a field here raises the format, or a watcher of an older copy never gets it.
  expect(WATCH_FORMAT).toBe(1);
  expect(Object.keys(view.endpoints.get(endpoint.endpointId) ?? {}).toSorted()).toEqual([
    'circuitFailures',
    'circuitLongestWait',
    'encryptedHeaders',
    'endpointId',
    'maxInFlight',
    'rateLimit',
    'renewTime',
    'secrets',
    'state',
    'subscriptions',
    'tenant',
    'timeout',
    'url',
  ]);
  const place = { revision: view.revision, eventId: view.eventId };
  for (const format of [0, WATCH_FORMAT + 1]) {
    const { message } = await copy.watch({ ...place, format }).next();
    expect(message).toMatchObject({ $case: 'snapshot', value: { first: true } });
  }
});

test.each([
  ['another event at its revision', 0, `evt_${'0'.repeat(32)}`],
  ['a revision that is not there yet', 1_000, undefined],
])('a view with %s gets a new snapshot', async (_, ahead, eventId) => {
  const copy = await subscriptions.start();
  await copy.register('http://127.0.0.1:9/mismatch');
  const known = await follow(copy.watch(), await copy.revision());
  const from = { revision: known.revision + ahead, eventId: eventId ?? known.eventId };
  const { message } = await copy.watch(from).next();
  expect(message).toMatchObject({
    $case: 'snapshot',
    value: { first: true, revision: BigInt(known.revision), eventId: known.eventId },
  });
});

test('a history that is replaced under a watch gives a new snapshot', async () => {
  const copy = await subscriptions.start();
  await copy.register('http://127.0.0.1:9/restored');
  const watcher = copy.watch();
  const view = await follow(watcher, await copy.revision());
  await subscriptions.pool.query(
    'update subscription.event set id = gen_random_uuid() where position = $1',
    [view.revision],
  );
  const { message } = await watcher.next();
  expect(message).toMatchObject({ $case: 'snapshot', value: { first: true } });
  expect(message?.value.eventId).not.toBe(view.eventId);
});

test('a slow watcher ends with the same view, and holds nobody up', async () => {
  const copy = await subscriptions.start();
  const description = 'x'.repeat(1_000);
  const path = 'y'.repeat(1_900);
  const register = async (number: number) => {
    const { endpoint } = await copy.register(`http://127.0.0.1:9/slow/${number}/${path}`);
    await copy.update({ endpointId: endpoint.endpointId, description });
  };
  await Promise.all(Array.from({ length: 350 }, (_, number) => register(number)));
  const slow = copy.watch();
  const begun = take(emptyView(), await slow.next());
  const startedMs = performance.now();
  for (let number = 350; number < 700; number += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => register(number + index)));
  }
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  const revision = await copy.revision();
  const quick = await follow(copy.watch(), revision);
  const { rows } = await subscriptions.pool.query(
    `select count(*)::int as idle from pg_stat_activity
     where datname = current_database() and state = 'idle in transaction'`,
  );
  expect(rows).toEqual([{ idle: 0 }]);
  const view = await follow(slow, revision, begun);
  expect(quick.endpoints.size).toBeGreaterThanOrEqual(700);
  expect(view).toEqual(quick);
}, 60_000);

test('changes beyond one message keep the revision back until the last part', async () => {
  const copy = await subscriptions.start();
  const base = await follow(copy.watch(), await copy.revision());
  const path = 'z'.repeat(1_900);
  for (let part = 0; part < 7; part += 1) {
    await Promise.all(
      Array.from({ length: 10 }, (_, number) =>
        copy.register(`http://127.0.0.1:9/many/${part}/${number}/${path}`),
      ),
    );
  }
  const watcher = copy.watch({ revision: base.revision, eventId: base.eventId });
  const view = await follow(watcher, await copy.revision(), base);
  const many = [...view.endpoints.values()].filter(({ url }) => url.includes('/many/'));
  expect(many).toHaveLength(70);
});
