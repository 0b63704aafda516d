import { expect, test } from 'vitest';

import { firstSeen, invoiceIds, invoiceOf, useDispatchers } from './dispatchers.fixture.ts';
import { DEFAULT_LIMITS } from './engine/limits.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, parkedRows, receive, register, start } = dispatchers;

const ROWS = 8;

test('an invoice that fails holds up its own events only, also when more fail than have rows', async () => {
  const ids = invoiceIds(40);
  const failing = new Set(ids.slice(0, 30));
  const working = ids.slice(30);
  // A judgement of the delivery: the receiver works, and its circuit stays closed.
  const receiver = await receive((request) => ({
    kind: 'respond',
    status: failing.has(invoiceOf(request)) ? 400 : 204,
  }));
  register(receiver);
  await start({
    retryScheduleMs: [600_000],
    limits: { ...DEFAULT_LIMITS, maxRowsPerEndpointLane: ROWS, maxBlockedPairs: 2 },
  });
  await appendToEach(ids, 1);
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(failing.size);
  await appendToEach(ids, 2);
  const hasAll = (): boolean =>
    working.every((id) => firstSeen(receiver.requests, id).length === 3);
  await expect.poll(hasAll, { timeout: 10_000 }).toBe(true);
  for (const id of working) expect(firstSeen(receiver.requests, id)).toEqual([1, 2, 3]);
  for (const id of failing) expect(firstSeen(receiver.requests, id)).toEqual([1]);
  await expect.poll(parkedRows, { timeout: 10_000 }).toBe(3 * failing.size);
});
