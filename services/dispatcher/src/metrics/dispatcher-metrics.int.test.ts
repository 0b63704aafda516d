import { deliveryV1, subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import { createMonitoring, type Monitoring } from '@billhook/metrics';
import { expect, onTestFinished, test } from 'vitest';

import { invoiceIds, useDispatchers } from '../dispatchers.fixture.ts';
import { PING_LIMITS } from '../dispatching/ping-queue.ts';
import { DEFAULT_LIMITS } from '../engine/limits.ts';
import { insertRequests } from '../postgres/requests.ts';

const LANES = 4;
const { ENDPOINT_STATE_PAUSED } = subscriptionV1.EndpointState;
const dispatchers = useDispatchers({ lanes: LANES });
const { appendToEach, parkedRows, receive, register, start } = dispatchers;

/** The numbers of the dispatcher by the names of their series. */
async function numbersOf(monitoring: Monitoring): Promise<Record<string, number>> {
  const lines = (await monitoring.text()).split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const match = /^billhook_dispatcher_(\S+) (\S+)$/.exec(line);
      return match === null ? [] : [[match[1], Number(match[2])]];
    }),
  );
}

test('what becomes of deliveries shows, and how lanes and endpoints stand', async () => {
  const [healthy, failing, paused] = [await receive(), await receive(), await receive()];
  failing.answer(() => ({ kind: 'respond', status: 500 }));
  register(healthy);
  register(failing);
  register(paused)(ENDPOINT_STATE_PAUSED);
  const monitoring = createMonitoring();
  const service = await start({ retryScheduleMs: [100, 600_000] }, undefined, monitoring);
  await appendToEach(invoiceIds(1), 3);
  await healthy.waitFor(3, 10_000);
  await failing.waitFor(2, 10_000);
  await expect.poll(parkedRows, { timeout: 5_000 }).toBe(6);

  const numbers = () => numbersOf(monitoring);
  await expect.poll(numbers, { timeout: 5_000 }).toMatchObject({
    'attempts_total{outcome="delivered"}': 3,
    'attempts_total{outcome="rejected"}': 2,
    retries_total: 1,
    delivery_lag_seconds_count: 3,
    'attempt_duration_seconds_count{outcome="rejected"}': 2,
    'settlements_total{settlement="delivered"}': 3,
    'settlements_total{settlement="dead"}': 0,
    'recorded_rows_total{kind="parked"}': 6,
    parked: 6,
    lane_parked: 6,
    lane_parked_limit: DEFAULT_LIMITS.maxRowsPerLane,
    endpoint_parked: 3,
    endpoint_parked_limit: DEFAULT_LIMITS.maxRowsPerEndpointLane,
    endpoint_blocked_pairs: 1,
    endpoint_blocked_pairs_limit: DEFAULT_LIMITS.maxBlockedPairs,
    endpoint_claimed: 0,
    endpoint_in_flight: 0,
    held: 0,
    in_flight: 0,
    in_flight_limit: DEFAULT_LIMITS.maxInFlight,
    lanes: LANES,
    'endpoints{state="active"}': 2,
    'endpoints{state="paused"}': 1,
    'circuits{state="open"}': 0,
    'halted_lanes{reason="gap"}': 0,
  });
  const found = await numbers();
  expect(found['lagging_endpoints']).toBeGreaterThanOrEqual(1);
  expect(found['claimed_rows_total']).toBeGreaterThanOrEqual(1);
  expect(found['recording_duration_seconds_count']).toBeGreaterThanOrEqual(1);
  expect(found['barrier_duration_seconds_count']).toBeGreaterThanOrEqual(1);
  const progress = Object.entries(found).filter(([name]) => name.startsWith('lane_progress'));
  expect(progress.map(([, position]) => position).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 3]);

  expect(await monitoring.problems()).toEqual([]);
  await service.stop();
  expect(await numbers()).toMatchObject({ lanes: 0, held: 0 });
});

test('pings that are under way and wait show, and retries that are not carried out yet', async () => {
  const hanging = await receive(() => ({ kind: 'hang' }));
  const endpoints = PING_LIMITS.maxPerOrigin + 4;
  for (let count = 0; count < endpoints; count += 1) register(hanging);
  const monitoring = createMonitoring();
  const { address } = await start({}, undefined, monitoring);
  const client = createGrpcClient(deliveryV1.DeliveryServiceClient, address, { retryable: [] });
  onTestFinished(() => client.close());
  const pinging = call(client.ping, { url: '' }, { timeoutMs: 5_000, tenant: 'default' });
  // The log has no such event: its owner looks for it until it is stopped.
  const endpointId = `ep_${'a'.repeat(32)}`;
  await insertRequests(dispatchers.pool, [
    { lane: 0, position: 1_000, endpointId, reviveAttempt: 1 },
  ]);
  const numbers = () => numbersOf(monitoring);
  await expect.poll(numbers, { timeout: 2_000 }).toMatchObject({
    pings_in_flight: PING_LIMITS.maxPerOrigin,
    pings_in_flight_limit: PING_LIMITS.maxUnderWay,
    pings_waiting: 4,
    pings_waiting_limit: PING_LIMITS.maxWaiting,
    name_lookups: 0,
    requests: 1,
    requests_limit: 4_000,
    requests_under_way_limit: 500,
    full_endpoints: 0,
    full_endpoints_limit: 4_000,
    answers_read: 0,
    refills: 0,
    refill_failures_total: 0,
  });
  expect((await pinging).results).toHaveLength(endpoints);
  await expect.poll(numbers).toMatchObject({ pings_in_flight: 0, pings_waiting: 0 });
});
