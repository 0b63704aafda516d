import { deliveryV1 } from '@billhook/contracts';
import { call, createGrpcClient, encodePageToken, RemoteError } from '@billhook/grpc';
import { expect, onTestFinished, test } from 'vitest';

import { invoiceIds, useDispatchers } from '../dispatchers.fixture.ts';
import { endpoint } from '../subscriptions/messages.fixture.ts';

const dispatchers = useDispatchers({ lanes: 1 });
const { appendToEach, parkedRows, receive, register, start } = dispatchers;
const options = { timeoutMs: 5_000, tenant: 'default' };
const endpointId = `ep_${'0'.repeat(32)}`;
const eventId = `evt_${'0'.repeat(32)}`;
const refused = ['INVALID_ARGUMENT', 'page_token PAGE_TOKEN_INVALID'];

/** More than one call looks through. */
const MANY_ENDPOINTS = 250;

test('deliveries are listed page by page, each once, among however many endpoints', async () => {
  for (let count = 0; count < MANY_ENDPOINTS; count += 1) {
    const idle = `ep_${count.toString(16).padEnd(32, '0')}`;
    dispatchers.set.put(endpoint({ endpointId: idle }));
    onTestFinished(() => dispatchers.set.unregister(idle));
  }
  for (let count = 0; count < 2; count += 1) {
    register(await receive(() => ({ kind: 'respond', status: 500 })));
  }
  const client = await startWithClient();
  await appendToEach(invoiceIds(1), 3);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(6);
  const ids: string[] = [];
  let pageToken = '';
  do {
    const page = await call(client.listDeliveries, list({ pageSize: 2, pageToken }), options);
    ids.push(...page.deliveries.map(({ deliveryId }) => deliveryId));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(ids).toHaveLength(6);
  expect(new Set(ids).size).toBe(6);
});

test.each([
  [[]],
  [[endpointId]],
  [[endpointId, 'x']],
  [[endpointId, eventId.toUpperCase()]],
  [[endpointId, `${eventId}\0`]],
  [['x', eventId]],
  [['', eventId]],
  [[endpointId, eventId, eventId]],
])('a list of deliveries takes no token that was made up: %j', async (parts) => {
  const client = await startWithClient();
  for (const asked of ['', endpointId]) {
    const scope = { kind: 'deliveries', filter: ['default', asked, 'DELIVERY_STATE_UNSPECIFIED'] };
    const request = list({ endpointId: asked, pageToken: encodePageToken(scope, parts) });
    expect(await refusal(call(client.listDeliveries, request, options))).toEqual(refused);
  }
});

test.each([[[]], [['x']], [['evt_0']], [[endpointId]], [[eventId, eventId]]])(
  'a retry of deliveries takes no token that was made up: %j',
  async (parts) => {
    dispatchers.set.register(endpointId);
    onTestFinished(() => dispatchers.set.unregister(endpointId));
    const client = await startWithClient();
    const scope = { kind: 'retries', filter: ['default', endpointId, 'undefined', 'undefined'] };
    const request = deliveryV1.RetryDeliveriesRequest.create({
      endpointId,
      pageToken: encodePageToken(scope, parts),
    });
    expect(await refusal(call(client.retryDeliveries, request, options))).toEqual(refused);
  },
);

async function startWithClient() {
  const { address } = await start();
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, address, { retryable: [] });
  onTestFinished(() => client.close());
  return client;
}

function list(request: Partial<deliveryV1.ListDeliveriesRequest>) {
  return deliveryV1.ListDeliveriesRequest.create(request);
}

/** The code of a refusal, and the fields it names. */
async function refusal(answer: Promise<unknown>): Promise<readonly string[]> {
  try {
    await answer;
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    return [error.code, ...error.fieldViolations.map(({ field, reason }) => `${field} ${reason}`)];
  }
  return [];
}
