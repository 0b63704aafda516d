import { setTimeout as sleep } from 'node:timers/promises';

import { subscriptionV1 } from '@billhook/contracts';
import { startPostgresProxy } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';

import {
  distinct,
  firstSeen,
  invoiceIds,
  invoiceOf,
  sequenceOf,
  TIMEOUT_MS,
  useDispatchers,
} from './dispatchers.fixture.ts';

const dispatchers = useDispatchers({ lanes: 4 });
const { appendToEach, database, parkedRows, receive, register, start } = dispatchers;
const { ENDPOINT_STATE_ACTIVE: ACTIVE } = subscriptionV1.EndpointState;

test('a failing event holds back the later ones of its invoice, and of no other', async () => {
  const [failing = '', healthy = ''] = invoiceIds(2);
  let failures = 0;
  const receiver = await receive((request) => {
    const fails = invoiceOf(request) === failing && failures < 3;
    if (fails) failures += 1;
    return { kind: 'respond', status: fails ? 500 : 204 };
  });
  register(receiver);
  await start();
  await appendToEach([failing, healthy], 4);
  await receiver.waitFor(11, 10_000);
  const sequences = receiver.requests.filter((each) => invoiceOf(each) === failing).map(sequenceOf);
  expect(sequences).toEqual([1, 1, 1, 1, 2, 3, 4]);
  const last = (invoiceId: string) =>
    receiver.requests.findLastIndex((each) => invoiceOf(each) === invoiceId);
  expect(last(healthy)).toBeLessThan(last(failing));
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(0);
});

test('an endpoint that names a time is not called before', async () => {
  const headers = { 'retry-after': '2' };
  const receiver = await receive(() => ({ kind: 'respond', status: 503, headers }));
  register(receiver);
  await start();
  await appendToEach(invoiceIds(1), 1);
  await receiver.waitFor(1, 5_000);
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  const [first, second] = await receiver.waitFor(2, 10_000);
  const waitedMs = (second?.receivedAtMs ?? 0) - (first?.receivedAtMs ?? 0);
  expect(waitedMs).toBeGreaterThanOrEqual(1_900);
});

test('after an answer 410 everything waits, and comes in order once it is enabled', async () => {
  const ids = invoiceIds(3);
  const receiver = await receive(() => ({ kind: 'respond', status: 410 }));
  const put = register(receiver);
  await start();
  await appendToEach(ids, 1);
  await receiver.waitFor(1, 5_000);
  await sleep(500);
  const calls = receiver.requests.length;
  await appendToEach(ids, 4);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(15);
  expect(receiver.requests).toHaveLength(calls);
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  put(ACTIVE);
  await receiver.waitFor((requests) => requests.length >= calls + 15, 10_000);
  for (const id of ids) expect(firstSeen(receiver.requests, id)).toEqual([1, 2, 3, 4, 5]);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(0);
});

test('an endpoint that hangs takes no time from another', async () => {
  const hanging = await receive(() => ({ kind: 'hang' }));
  const healthy = await receive();
  register(hanging);
  register(healthy);
  await start();
  const ids = invoiceIds(100);
  await appendToEach(ids, 2);
  // Everything for the hanging one lags by now.
  await sleep(1_500);
  const startedAtMs = Date.now();
  await appendToEach(ids, 2);
  await healthy.waitFor(400, 5_000);
  expect(Date.now() - startedAtMs).toBeLessThan(2_000);
  hanging.answer(() => ({ kind: 'respond', status: 204 }));
  await hanging.waitFor((requests) => distinct(requests) >= 400, 20_000);
  for (const id of ids) {
    expect(firstSeen(healthy.requests, id)).toEqual([1, 2, 3, 4]);
    expect(firstSeen(hanging.requests, id)).toEqual([1, 2, 3, 4]);
  }
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
});

test('a stop waits for answers, gives the lanes up, and nothing answered is sent again', async () => {
  const [hangs = '', ...others] = invoiceIds(20);
  const receiver = await receive((request) =>
    invoiceOf(request) === hangs
      ? { kind: 'hang' }
      : { kind: 'respond', status: 204, delayMs: 300 },
  );
  register(receiver);
  const first = await start();
  await appendToEach([hangs, ...others], 1);
  await receiver.waitFor(20, 5_000);
  const startedAtMs = Date.now();
  await first.stop();
  expect(Date.now() - startedAtMs).toBeLessThan(TIMEOUT_MS + 2_000);
  const owned = await dispatchers.pool.query(
    'select from dispatcher.lane_lease where owner <> $1',
    [''],
  );
  expect(owned.rowCount).toBe(0);
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  // Nobody else is there, so it need not wait for a lease to expire either.
  await start({ ownership: 'shared' });
  await receiver.waitFor(21, 10_000);
  await sleep(500);
  expect(receiver.requests.slice(20).map(invoiceOf)).toEqual([hangs]);
});

test('a stop that may not wait leaves what is in flight to the next, and nothing else', async () => {
  const [hangs = '', ...others] = invoiceIds(20);
  const receiver = await receive((request) => ({
    kind: invoiceOf(request) === hangs ? 'hang' : 'respond',
    status: 204,
  }));
  register(receiver);
  const first = await start({ shutdownTimeoutMs: 2_100, deliveryTimeoutMs: 20_000 });
  await appendToEach([hangs, ...others], 1);
  await receiver.waitFor(20, 5_000);
  // Long enough to record what is settled above progress, too short to park what is in flight.
  await sleep(200);
  await first.stop();
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  await start();
  await receiver.waitFor(21, 10_000);
  await sleep(500);
  expect(receiver.requests.slice(20).map(invoiceOf)).toEqual([hangs]);
});

test('what waits as rows is sent after a restart, in order', async () => {
  const ids = invoiceIds(10);
  const receiver = await receive(() => ({ kind: 'respond', status: 500 }));
  register(receiver);
  const first = await start({ retryScheduleMs: Array.from({ length: 20 }, () => 2_000) });
  await appendToEach(ids, 3);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(30);
  await first.stop();
  expect(await parkedRows()).toBe(30);
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  const calls = receiver.requests.length;
  await start();
  await receiver.waitFor(calls + 30, 10_000);
  for (const id of ids) expect(firstSeen(receiver.requests.slice(calls), id)).toEqual([1, 2, 3]);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(0);
});

test('nothing is lost when Postgres ends all connections again and again', async () => {
  const ids = invoiceIds(20);
  const receiver = await receive(() => ({
    kind: 'respond',
    status: Math.random() < 0.2 ? 500 : 204,
  }));
  register(receiver);
  await start();
  for (let round = 0; round < 10; round += 1) {
    await appendToEach(ids, 3);
    await dispatchers.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'billhook%'`,
    );
  }
  await receiver.waitFor((requests) => distinct(requests) >= 600, 20_000);
  const sequences = Array.from({ length: 30 }, (_, index) => index + 1);
  for (const id of ids) expect(firstSeen(receiver.requests, id)).toEqual(sequences);
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
});

test('nothing is lost when nobody hears whether a commit was made, or Postgres is away', async () => {
  const proxy = await startPostgresProxy(database.connectionString);
  onTestFinished(() => proxy.close());
  const ids = invoiceIds(20);
  const receiver = await receive(() => ({
    kind: 'respond',
    status: Math.random() < 0.2 ? 500 : 204,
  }));
  register(receiver);
  const service = await start({ databaseUrl: proxy.connectionString });
  let commits = 0;
  proxy.onCommit(() => {
    commits += 1;
    if (commits % 10 === 0) return 'lost';
    return commits % 10 === 5 ? 'unanswered' : 'answered';
  });
  for (let round = 0; round < 10; round += 1) {
    await appendToEach(ids, 3);
    if (round !== 5) continue;
    proxy.cut();
    await sleep(1_500);
    proxy.mend();
  }
  await receiver.waitFor((requests) => distinct(requests) >= 600, 20_000);
  const sequences = Array.from({ length: 30 }, (_, index) => index + 1);
  for (const id of ids) expect(firstSeen(receiver.requests, id)).toEqual(sequences);
  proxy.onCommit(() => 'answered');
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
  await service.stop();
});

test('all that waits for an endpoint goes when it is unregistered, however much', async () => {
  const receiver = await receive();
  const put = register(receiver);
  put(subscriptionV1.EndpointState.ENDPOINT_STATE_PAUSED);
  await start();
  await appendToEach(invoiceIds(100), 60);
  // A lane that has as many as it may keeps a cursor in front of the others.
  await expect.poll(cursors, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await parkedRows()).toBeGreaterThanOrEqual(1_000);
  dispatchers.unregisterAll();
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
  expect(await cursors()).toBe(0);
  const events = await dispatchers.pool.query('select from dispatcher.parked_event');
  expect(events.rowCount).toBe(0);
  expect(receiver.requests).toHaveLength(0);
});

test('while the subscription service is away everything waits, and nothing is lost', async () => {
  const receiver = await receive();
  register(receiver);
  await start();
  const [id = ''] = invoiceIds(1);
  await appendToEach([id], 1);
  await receiver.waitFor(1, 5_000);
  const release = dispatchers.set.holdNextRevision();
  dispatchers.set.breakStreams();
  await appendToEach([id], 3);
  await sleep(500);
  expect(receiver.requests).toHaveLength(1);
  release();
  await receiver.waitFor(4, 10_000);
  expect(firstSeen(receiver.requests, id)).toEqual([1, 2, 3, 4]);
});

test(
  'a backlog larger than its rows is sent in order once the endpoint is resumed',
  {
    timeout: 90_000,
  },
  async () => {
    const receiver = await receive();
    const put = register(receiver);
    put(subscriptionV1.EndpointState.ENDPOINT_STATE_PAUSED);
    await start();
    const ids = invoiceIds(100);
    await appendToEach(ids, 60);
    await expect.poll(cursors, { timeout: 10_000 }).toBeGreaterThan(0);
    put(subscriptionV1.EndpointState.ENDPOINT_STATE_ACTIVE);
    await appendToEach(ids, 2);
    await receiver.waitFor(6_200, 60_000);
    await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
    expect(await cursors()).toBe(0);
    expect(receiver.requests).toHaveLength(6_200);
    const sequences = Array.from({ length: 62 }, (_, index) => index + 1);
    for (const id of ids) expect(firstSeen(receiver.requests, id)).toEqual(sequences);
  },
);

async function cursors(): Promise<number> {
  const { rowCount } = await dispatchers.pool.query('select from dispatcher.cursor');
  return rowCount ?? 0;
}
