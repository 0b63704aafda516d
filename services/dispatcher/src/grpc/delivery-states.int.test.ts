import { deliveryV1, subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient, type GrpcClient } from '@billhook/grpc';
import { expect, onTestFinished, test } from 'vitest';

import type { DispatcherConfig } from '../config.ts';
import { invoiceIds, useDispatchers } from '../dispatchers.fixture.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, parkedRows, receive, register, start } = dispatchers;
const { ENDPOINT_STATE_ACTIVE: ACTIVE } = subscriptionV1.EndpointState;
const options = { timeoutMs: 5_000, tenant: 'default' };
const FAIL = { kind: 'respond', status: 500 } as const;

type Client = GrpcClient<typeof deliveryV1.DeliveryServiceService>;

async function startWithClient(overrides?: Partial<DispatcherConfig>): Promise<Client> {
  const { address } = await start(overrides);
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, address, { retryable: [] });
  onTestFinished(() => client.close());
  return client;
}

/** All deliveries of an invoice to an endpoint as both calls show them, newest first. */
async function deliveriesOf(
  client: Client,
  { invoiceId, ...fields }: Partial<deliveryV1.ListDeliveriesRequest> & { invoiceId: string },
): Promise<deliveryV1.Delivery[]> {
  const request = deliveryV1.ListDeliveriesRequest.create(fields);
  const { deliveries } = await call(client.listDeliveries, request, options);
  const listed = deliveries.filter((each) => each.invoiceId === invoiceId);
  for (const delivery of listed) {
    const { deliveryId } = delivery;
    const got = await call(client.getDelivery, { deliveryId }, options);
    expect(got.delivery).toEqual(delivery);
  }
  return listed;
}

/** How its deliveries ended, and why. */
async function endsOf(client: Client, query: Parameters<typeof deliveriesOf>[1]) {
  const deliveries = await deliveriesOf(client, query);
  return deliveries.map(({ state, endReason }) => [state, endReason]);
}

test('a delivery that becomes a row while its attempt is under way is due', async () => {
  const [invoiceId = ''] = invoiceIds(1);
  const receiver = await receive(() => ({ kind: 'hang' }));
  register(receiver);
  const client = await startWithClient({ deliveryTimeoutMs: 4_000 });
  await appendToEach([invoiceId], 2);
  // Progress has passed both: the one that is sent stays with its sender, the other waits behind it.
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(2);
  const [second, first] = await deliveriesOf(client, { invoiceId });
  expect(first).toMatchObject({
    state: 'DELIVERY_STATE_DUE',
    sequence: 1n,
    attemptCount: 1,
    nextAttemptTime: undefined,
  });
  expect(second).toMatchObject({ state: 'DELIVERY_STATE_WAITING', sequence: 2n, attemptCount: 0 });
  for (const [state, sequences] of [
    ['DELIVERY_STATE_DUE', [1n]],
    ['DELIVERY_STATE_WAITING', [2n]],
    ['DELIVERY_STATE_RETRYING', []],
  ] as const) {
    const found = await deliveriesOf(client, { invoiceId, state });
    expect(found.map(({ sequence }) => sequence)).toEqual(sequences);
  }
});

test('a delivery that was cancelled because its endpoint is unregistered says so', async () => {
  const [invoiceId = ''] = invoiceIds(1);
  register(await receive(() => FAIL));
  const client = await startWithClient({ retryScheduleMs: [60_000] });
  await appendToEach([invoiceId], 2);
  await expect
    .poll(() => endsOf(client, { invoiceId }), { timeout: 5_000 })
    .toEqual([
      ['DELIVERY_STATE_WAITING', 'END_REASON_UNSPECIFIED'],
      ['DELIVERY_STATE_RETRYING', 'END_REASON_UNSPECIFIED'],
    ]);
  const endpointId = (await deliveriesOf(client, { invoiceId }))[0]?.endpointId ?? '';
  dispatchers.unregisterAll();
  const unregistered = ['DELIVERY_STATE_CANCELLED', 'END_REASON_ENDPOINT_UNREGISTERED'];
  await expect
    .poll(() => endsOf(client, { endpointId, invoiceId }), { timeout: 5_000 })
    .toEqual([unregistered, unregistered]);
});

test('a delivery that no subscription matches any more says so, also after an attempt', async () => {
  const [invoiceId = ''] = invoiceIds(1);
  const receiver = await receive(() => ({ ...FAIL, delayMs: 5_000 }));
  const put = register(receiver);
  const client = await startWithClient({ deliveryTimeoutMs: 20_000 });
  await appendToEach([invoiceId], 2);
  // Both are read by then: what is read later would match nothing.
  await expect
    .poll(async () => (await deliveriesOf(client, { invoiceId })).length, { timeout: 4_500 })
    .toBe(2);
  // The first one fails after this, and is not tried again.
  put(ACTIVE, { filter: { 'data.invoice_id': 'another' } });
  const unmatched = ['DELIVERY_STATE_CANCELLED', 'END_REASON_NO_SUBSCRIPTION'];
  await expect
    .poll(() => endsOf(client, { invoiceId }), { timeout: 15_000 })
    .toEqual([unmatched, unmatched]);
  const [, first] = await deliveriesOf(client, { invoiceId });
  const deliveryId = first?.deliveryId ?? '';
  const { attempts } = await call(client.getDelivery, { deliveryId }, options);
  expect(attempts).toMatchObject([{ attempt: 1, status: 500 }]);
});

test.each([
  ['that waited for too long', [1_000], 'END_REASON_WAITED_TOO_LONG'],
  ['whose attempts ran out', [], 'END_REASON_UNSPECIFIED'],
])('a dead delivery %s says so', async (_, retryScheduleMs, endReason) => {
  const [invoiceId = ''] = invoiceIds(1);
  register(await receive(() => FAIL));
  const client = await startWithClient({ retryScheduleMs, retentionMs: 500 });
  await appendToEach([invoiceId], 1);
  await expect
    .poll(() => endsOf(client, { invoiceId }), { timeout: 5_000 })
    .toEqual([['DELIVERY_STATE_DEAD', endReason]]);
});
