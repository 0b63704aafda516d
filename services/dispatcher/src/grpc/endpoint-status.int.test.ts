import { deliveryV1, subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import { expect, onTestFinished, test } from 'vitest';

import { invoiceIds, useDispatchers } from '../dispatchers.fixture.ts';
import { DEFAULT_LIMITS } from '../engine/limits.ts';
import { deliveryIdOf, endpointIdOf, eventIdOf } from '../postgres/ids.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, receive, register, start } = dispatchers;
const { ENDPOINT_STATE_ACTIVE, ENDPOINT_STATE_PAUSED } = subscriptionV1.EndpointState;
const MAX_ROWS = 4;

test('an endpoint that lags shows in how many lanes, and whether it keeps a cursor there', async () => {
  const receiver = await receive();
  const put = register(receiver);
  put(ENDPOINT_STATE_PAUSED);
  const { address } = await start({
    limits: { ...DEFAULT_LIMITS, maxRowsPerEndpointLane: MAX_ROWS, refillAtPart: 0.25 },
  });
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, address, { retryable: [] });
  onTestFinished(() => client.close());
  const [invoiceId = ''] = invoiceIds(1);
  await appendToEach([invoiceId], 1);
  await expect.poll(dispatchers.parkedRows, { timeout: 5_000 }).toBe(1);
  const { rows } = await dispatchers.pool.query<{ endpoint_id: string }>(
    'select endpoint_id from dispatcher.parked',
  );
  const endpointId = endpointIdOf(rows[0]?.endpoint_id ?? '');
  const options = { timeoutMs: 5_000, tenant: 'default' };
  const shown = async () => {
    const { status } = await call(client.getEndpointStatus, { endpointId }, options);
    const [of] = status?.dispatchers ?? [];
    const { moreWaiting, unreadEventCount } = status ?? {};
    return [of?.laggingLaneCount, of?.cursorLaneCount, moreWaiting, unreadEventCount];
  };
  await expect.poll(shown, { timeout: 5_000 }).toEqual([1, 0, false, 0n]);
  await appendToEach([invoiceId], MAX_ROWS);
  await expect.poll(dispatchers.parkedRows, { timeout: 5_000 }).toBeGreaterThanOrEqual(MAX_ROWS);
  await appendToEach([invoiceId], 3);
  const events = 1 + MAX_ROWS + 3;
  await expect.poll(shown, { timeout: 5_000 }).toMatchObject([1, 1, true, expect.anything()]);
  await expect.poll(progress, { timeout: 5_000 }).toBe(events);
  const unread = events - (await dispatchers.parkedRows());
  expect(unread).toBeGreaterThan(0);
  expect(unread).toBeLessThanOrEqual(10);
  expect(await shown()).toEqual([1, 1, true, 10n]);
  const newest = await dispatchers.pool.query<{ id: string }>(
    'select id from invoice.event order by position desc limit 1',
  );
  const deliveryId = deliveryIdOf(eventIdOf(newest.rows[0]?.id ?? ''), endpointId);
  const found = call(client.getDelivery, { deliveryId }, options);
  await expect(found).rejects.toThrow('in the backlog that is kept in the event log');
  const foreign = call(client.getDelivery, { deliveryId }, { ...options, tenant: 'other' });
  await expect(foreign).rejects.toThrow(new RegExp(`nothing is recorded of ${deliveryId}$`));
  // What nobody takes up, because nobody owns that lane.
  await dispatchers.pool.query(
    `insert into dispatcher.owner_request (lane, position, endpoint_id, revive_attempt)
     select 7, position, $1, 1 from generate_series(1, 3) as position`,
    [rows[0]?.endpoint_id],
  );
  const { status } = await call(client.getEndpointStatus, { endpointId }, options);
  expect(status?.requestedRetryCount).toBe(3);
  put(ENDPOINT_STATE_ACTIVE);
  await receiver.waitFor(4 + MAX_ROWS, 10_000);
  await expect.poll(shown, { timeout: 5_000 }).toEqual([0, 0, false, 0n]);
});

async function progress(): Promise<number> {
  const { rows } = await dispatchers.pool.query<{ progress: bigint }>(
    'select progress from dispatcher.lane_progress',
  );
  return Number(rows[0]?.progress);
}
