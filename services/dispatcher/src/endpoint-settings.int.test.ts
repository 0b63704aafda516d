import { subscriptionV1 } from '@billhook/contracts';
import { expect, test } from 'vitest';

import { firstSeen, invoiceIds, invoiceOf, useDispatchers } from './dispatchers.fixture.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, parkedRows, receive, register, start } = dispatchers;
const { ENDPOINT_STATE_ACTIVE: ACTIVE } = subscriptionV1.EndpointState;

test('an endpoint gets the headers of its own with every attempt, and no other endpoint does', async () => {
  const headers = [
    { name: 'authorization', value: 'Bearer x' },
    { name: 'x-latin', value: 'Zürich' },
  ];
  let failures = 0;
  const receiver = await receive(() => {
    failures += 1;
    return { kind: 'respond', status: failures === 1 ? 500 : 204 };
  });
  const other = await receive();
  register(receiver, { headers });
  register(other);
  await start();
  await appendToEach(invoiceIds(1), 1);
  for (const request of await receiver.waitFor(2, 10_000)) {
    expect(request.headers).toMatchObject({ authorization: 'Bearer x', 'x-latin': 'Zürich' });
    expect(request.headers['webhook-signature']).toMatch(/^v1,/);
  }
  const [plain] = await other.waitFor(1, 10_000);
  expect(Object.keys(plain?.headers ?? {})).not.toContain('authorization');
});

test('an endpoint is given up after the time-out of its own', async () => {
  const receiver = await receive(() => ({ kind: 'hang' }));
  register(receiver, { timeout: { seconds: 0n, nanos: 200_000_000 } });
  await start({ deliveryTimeoutMs: 10_000, retryScheduleMs: [50, 60_000] });
  const startedAtMs = Date.now();
  await appendToEach(invoiceIds(1), 1);
  await receiver.waitFor(2, 5_000);
  expect(Date.now() - startedAtMs).toBeLessThan(5_000);
});

test('an endpoint is given up after the time-out of all when its own is longer', async () => {
  const receiver = await receive(() => ({ kind: 'hang' }));
  register(receiver, { timeout: { seconds: 60n, nanos: 0 } });
  await start({ deliveryTimeoutMs: 300, retryScheduleMs: [50, 60_000] });
  await appendToEach(invoiceIds(1), 1);
  await receiver.waitFor(2, 5_000);
});

test('an endpoint is called no more after as many failures as it says, and probed as often', async () => {
  const receiver = await receive(() => ({ kind: 'respond', status: 500 }));
  const circuitLongestWait = { seconds: 0n, nanos: 200_000_000 };
  // One at a time: whatever is under way when it opens is answered as well.
  register(receiver, { circuitFailures: 2, circuitLongestWait, maxInFlight: 1 });
  await start({ retryScheduleMs: [60_000] });
  await appendToEach(invoiceIds(6), 1);
  // Two that open it, and each further one is a probe; the waits of all are 1 s, 2 s, 4 s and 8 s.
  await receiver.waitFor(6, 5_000);
  const times = receiver.requests.map(({ receivedAtMs }) => receivedAtMs);
  for (const probe of [2, 3, 4, 5]) {
    expect((times[probe] ?? 0) - (times[probe - 1] ?? 0)).toBeGreaterThan(150);
  }
});

test('an endpoint gets what its filter lets through, and nothing waits for the rest', async () => {
  const [first = '', second = '', third = ''] = invoiceIds(3);
  const filtered = await receive();
  const open = await receive();
  register(filtered, { filter: { 'data.invoice_id': { any_of: [first, third] } } });
  register(open);
  await start();
  await appendToEach([first, second, third], 3);
  await open.waitFor(9, 10_000);
  await filtered.waitFor(6, 10_000);
  for (const id of [first, third]) expect(firstSeen(filtered.requests, id)).toEqual([1, 2, 3]);
  expect(firstSeen(filtered.requests, second)).toEqual([]);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(0);
});

test('what waits is judged by the filter as it is now', async () => {
  const [kept = '', dropped = ''] = invoiceIds(2);
  const receiver = await receive(() => ({ kind: 'respond', status: 500 }));
  const put = register(receiver);
  await start();
  await appendToEach([kept, dropped], 3);
  await receiver.waitFor((requests) => new Set(requests.map(invoiceOf)).size === 2, 5_000);
  // Two of each wait behind the first one, which is parked between its attempts.
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(6);
  put(ACTIVE, { filter: { 'data.invoice_id': kept } });
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(3);
  receiver.answer(() => ({ kind: 'respond', status: 204 }));
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(0);
  expect(firstSeen(receiver.requests, kept)).toEqual([1, 2, 3]);
  expect(firstSeen(receiver.requests, dropped)).toEqual([1]);
  const ends = await dispatchers.pool.query<{ detail: string }>(
    `select detail from dispatcher.attempt where settlement = 'cancelled' and invoice_id = $1`,
    [dropped],
  );
  expect(ends.rows.map(({ detail }) => detail)).toEqual(Array(3).fill('no subscription matches'));
});

test('a filter that is taken away lets through what was not yet passed by', async () => {
  const [id = ''] = invoiceIds(1);
  const receiver = await receive();
  const put = register(receiver, { filter: { 'data.amount': { gt: 1_000 } } });
  await appendToEach([id], 1);
  put(ACTIVE, {});
  await start();
  await receiver.waitFor(1, 5_000);
  expect(firstSeen(receiver.requests, id)).toEqual([1]);
});
