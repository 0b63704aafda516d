import { deliveryV1, subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient, RemoteError } from '@billhook/grpc';
import { expect, onTestFinished, test } from 'vitest';

import { useDispatchers } from '../dispatchers.fixture.ts';
import { endpointUuid } from '../postgres/ids.ts';
import { endpoint } from '../subscriptions/messages.fixture.ts';
import { MAX_ASKED, RETRY_AT_MOST } from './retries.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const ENDPOINT = `ep_${'a'.repeat(32)}`;
const DEAD = RETRY_AT_MOST + 200;

/** Starts a dispatcher, and an endpoint with dead deliveries of events that the log does not have any more. */
async function startWithDead(): Promise<(pageToken?: string) => Promise<Retried>> {
  dispatchers.set.register(ENDPOINT);
  onTestFinished(() => dispatchers.set.unregister(ENDPOINT));
  const { address } = await dispatchers.start();
  await dispatchers.pool.query(
    `insert into dispatcher.attempt (endpoint_id, event_id, attempt, lane, position, tenant,
       invoice_id, type, sequence, started_at, duration_ms, outcome, status, settlement)
     select $1, lpad(to_hex(position), 32, '0')::uuid, 10, 0, position, 'default',
       'invoice-' || position, 'invoice_created', 1, now(), 5, 'rejected', 500, 'dead'
     from generate_series(1000, 999 + $2::int) as position`,
    [endpointUuid(ENDPOINT), DEAD],
  );
  onTestFinished(async () => {
    await dispatchers.pool.query('truncate dispatcher.attempt, dispatcher.owner_request');
  });
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, address, { retryable: [] });
  onTestFinished(() => client.close());
  return (pageToken = '') => {
    const request = deliveryV1.RetryDeliveriesRequest.create({ endpointId: ENDPOINT, pageToken });
    return call(client.retryDeliveries, request, { timeoutMs: 5_000, tenant: 'default' });
  };
}

type Retried = deliveryV1.RetryDeliveriesResponse;

/** Asks for so many other dead deliveries. */
async function askFor(count: number): Promise<void> {
  await dispatchers.pool.query(
    `insert into dispatcher.owner_request (lane, position, endpoint_id, revive_attempt)
     select 0, 5000 + nth, $1, 10 from generate_series(1, $2::int) as nth`,
    [endpointUuid(ENDPOINT), count],
  );
}

async function askedFor(): Promise<number> {
  const { rows } = await dispatchers.pool.query<{ count: number }>(
    'select count(*)::int as count from dispatcher.owner_request',
  );
  return rows[0]?.count ?? 0;
}

test('dead deliveries are retried a bounded number at a time, and each is asked for once', async () => {
  const retry = await startWithDead();
  const first = await retry();
  expect(first.retriedCount).toBe(RETRY_AT_MOST);
  expect(await retry(first.nextPageToken)).toEqual({
    retriedCount: DEAD - RETRY_AT_MOST,
    nextPageToken: '',
  });
  expect(await askedFor()).toBe(DEAD);
  // Nothing of it is carried out yet.
  expect(await retry()).toEqual({ retriedCount: 0, nextPageToken: first.nextPageToken });
  expect(await askedFor()).toBe(DEAD);
});

test('no more are asked for while too many wait, and the same call goes on after that', async () => {
  const retry = await startWithDead();
  const { nextPageToken } = await retry();
  await askFor(MAX_ASKED - RETRY_AT_MOST);
  const refused = await retry(nextPageToken).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RemoteError);
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_RETRIES' });
  expect(await askedFor()).toBe(MAX_ASKED);
  await dispatchers.pool.query('delete from dispatcher.owner_request where position > 5000');
  expect((await retry(nextPageToken)).retriedCount).toBe(DEAD - RETRY_AT_MOST);
});

test.each([
  ['paused', 'ENDPOINT_STATE_PAUSED', 'it is paused: resume it first'],
  ['disabled', 'ENDPOINT_STATE_DISABLED', 'it is disabled: enable it first'],
] as const)(
  'where too many wait for an endpoint that is %s, it says so',
  async (_, state, what) => {
    const retry = await startWithDead();
    await askFor(MAX_ASKED);
    dispatchers.set.put({
      ...endpoint({ endpointId: ENDPOINT }),
      state: subscriptionV1.EndpointState[state],
    });
    await expect
      .poll(() => retry().catch((error: unknown) => error), { timeout: 5_000 })
      .toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining(what) });
  },
);
