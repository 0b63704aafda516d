import { expect, test } from 'vitest';

import { invoiceIds, useDispatchers } from './dispatchers.fixture.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, receive, register, start } = dispatchers;

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
