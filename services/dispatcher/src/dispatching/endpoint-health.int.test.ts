import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { writeTimestampMs, type Timestamp } from '@billhook/contracts';
import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { startPostgresProxy, useTestDatabase } from '@billhook/testing';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';

import { optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { getEndpointStatus } from '../grpc/endpoint-status.ts';
import {
  createGrpcSource,
  createSubscriptionClient,
  type SubscriptionClient,
} from '../subscriptions/grpc-source.ts';
import { openTables } from '../postgres/tables.fixture.ts';
import { endpoint } from '../subscriptions/messages.fixture.ts';
import {
  startSubscriptionSet,
  type SubscriptionSet,
} from '../subscriptions/subscription-set.fixture.ts';
import { createSubscriptionView, type SubscriptionView } from '../subscriptions/view.ts';
import { startWatch, type SubscriptionWatch } from '../subscriptions/watch.ts';
import { createEndpointHealth, type EndpointHealth } from './endpoint-health.ts';
import { keepEndpointRecords } from './endpoint-records.ts';
import { createEngineLoop } from './engine-loop.ts';

const FAILING_FOR_MS = 300;
const database = useTestDatabase();
const log = createLog({ level: 'silent', service: 'test' });
const { signal } = new AbortController();

let pool: Pool;
let set: SubscriptionSet;
let client: SubscriptionClient;
let view: SubscriptionView;
let watch: SubscriptionWatch;
let health: EndpointHealth;
let endpointId: string;

beforeAll(async () => {
  pool = await openTables(database.connectionString, 2);
  set = await startSubscriptionSet();
  client = createSubscriptionClient(`127.0.0.1:${set.port}`);
  view = createSubscriptionView();
  watch = startWatch({ source: createGrpcSource(client), view, log }, (changes) => {
    health.changed(changes);
  });
});

afterAll(async () => {
  await watch.close();
  client.close();
  await set.stop();
  await pool.end();
});

beforeEach(async () => {
  health = createHealth();
  endpointId = `ep_${randomUUID().replaceAll('-', '')}`;
  set.put({ ...endpoint({ endpointId }), renewTime: writeTimestampMs(1) });
  await vi.waitFor(() => expect(view.endpoint(endpointId)).toBeDefined());
});

const state = () => view.endpoint(endpointId)?.state;
const later = () => sleep(FAILING_FOR_MS + 50);

async function isShownFailing(): Promise<boolean> {
  const { status } = await getEndpointStatus({ pool, view }, endpointId, 'default');
  return status?.failingSinceTime !== undefined;
}

async function lastSuccess(): Promise<Timestamp | undefined> {
  const { status } = await getEndpointStatus({ pool, view }, endpointId, 'default');
  return status?.lastSuccessTime;
}

/** Nobody waits for the answer to a report. */
async function stayActive(): Promise<void> {
  await sleep(100);
  expect(state()).toBe('active');
}

function createHealth(ownPool = pool): EndpointHealth {
  const deps = { pool: ownPool, view, subscriptions: client, log };
  return createEndpointHealth(deps, { failingForMs: FAILING_FOR_MS });
}

/** It was enabled, resumed, or moved to another URL. */
async function renew(): Promise<void> {
  const revision = view.revision();
  set.put({ ...endpoint({ endpointId }), renewTime: writeTimestampMs(Date.now()) });
  await vi.waitFor(() => expect(view.revision()).toBeGreaterThan(revision));
}

async function fail(): Promise<void> {
  health.note(endpointId, false);
  await health.flush(signal);
}

test('an endpoint that does nothing but fail for so long is reported', async () => {
  await fail();
  expect(state()).toBe('active');
  await later();
  await fail();
  await vi.waitFor(() => expect(state()).toBe('disabled'));
});

test('a report names the revision from which on the endpoint was seen to fail', async () => {
  await fail();
  await later();
  const seenAt = view.revision();
  health.note(endpointId, false);
  set.put(endpoint({ endpointId: `ep_${randomUUID().replaceAll('-', '')}` }));
  await vi.waitFor(() => expect(view.revision()).toBeGreaterThan(seenAt));
  await health.flush(signal);
  await vi.waitFor(() => expect(set.reports.at(-1)?.revision).toBe(seenAt));
});

test('a report that is not answered holds up nobody', async () => {
  const silent = createServer();
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const subscriptions = createSubscriptionClient(`127.0.0.1:${port}`);
  onTestFinished(() => {
    subscriptions.close();
    silent.close();
  });
  const ended = new AbortController();
  health = createEndpointHealth({ pool, view, subscriptions, log }, { failingForMs: 0 });
  health.note(endpointId, false);
  await later();
  const startedAtMs = performance.now();
  await health.flush(ended.signal);
  expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  ended.abort();
});

test('one success, of whichever process, begins the time anew', async () => {
  await fail();
  await later();
  health.note(endpointId, true);
  health.note(endpointId, false);
  await health.flush(signal);
  await stayActive();
});

test('a success that ends a streak of failures is written within seconds, before any kill', async () => {
  await fail();
  await later();
  health.note(endpointId, true);
  const ended = new AbortController();
  const loop = createEngineLoop(new Engine(optionsOf()), () => undefined);
  const deps = { pool, loop, health, dispatcherId: randomUUID(), log };
  const keeping = keepEndpointRecords(deps, ended.signal);
  await expect.poll(isShownFailing, { timeout: 4_000 }).toBe(false);
  // Another process knows nothing but what is written.
  health = createHealth();
  await fail();
  await stayActive();
  ended.abort();
  await keeping;
});

test('successes are written at once only where the last ones written were failures', async () => {
  health.note(endpointId, true);
  await health.writeRecovered();
  const written = await lastSuccess();
  expect(written).toBeDefined();
  await sleep(5);
  health.note(endpointId, false);
  health.note(endpointId, true);
  await health.writeRecovered();
  expect(await lastSuccess()).toEqual(written);
  await health.flush(signal);
  expect(await lastSuccess()).not.toEqual(written);
});

test('what could not be written is written with what came after it', async () => {
  await fail();
  await later();
  const proxy = await startPostgresProxy(database.connectionString);
  const ownPool = await openTables(proxy.connectionString, 1);
  onTestFinished(async () => {
    await ownPool.end();
    await proxy.close();
  });
  health = createHealth(ownPool);
  health.note(endpointId, true);
  proxy.cut();
  await expect(health.flush(signal)).rejects.toThrow();
  proxy.mend();
  await fail();
  await stayActive();
  expect(await isShownFailing()).toBe(true);
  await later();
  await fail();
  await vi.waitFor(() => expect(state()).toBe('disabled'));
});

test.each([
  ['this process', () => health],
  ['one that was stopped before it wrote anything', () => createHealth()],
])('an endpoint that is renewed begins anew, as seen by %s', async (_name, after) => {
  await fail();
  await later();
  await renew();
  health = after();
  await fail();
  await stayActive();
  await later();
  await fail();
  await vi.waitFor(() => expect(state()).toBe('disabled'));
});

test('a report says since when the endpoint fails', async () => {
  const beganAtMs = Date.now();
  await fail();
  await later();
  const renewedAtMs = Date.now();
  await renew();
  await fail();
  await later();
  await fail();
  await vi.waitFor(() => expect(state()).toBe('disabled'));
  const failingSinceMs = set.reports.at(-1)?.failingSinceMs;
  expect(failingSinceMs).toBeGreaterThan(beganAtMs);
  expect(failingSinceMs).toBeGreaterThanOrEqual(renewedAtMs);
});

test('a renewed endpoint is not shown as failing', async () => {
  await fail();
  expect(await isShownFailing()).toBe(true);
  await later();
  await renew();
  expect(await isShownFailing()).toBe(false);
});

test('what failed before the renewal is not noted after it', async () => {
  health.note(endpointId, false);
  await later();
  await renew();
  await health.flush(signal);
  await fail();
  await stayActive();
});

test('nobody is reported while it is not known when endpoints were renewed', async () => {
  const revision = view.revision();
  set.put({ ...endpoint({ endpointId }), renewTime: undefined });
  await vi.waitFor(() => expect(view.revision()).toBeGreaterThan(revision));
  await fail();
  await later();
  await fail();
  await stayActive();
});

test('nothing is kept of an endpoint that is unregistered', async () => {
  await fail();
  set.unregister(endpointId);
  await vi.waitFor(() => expect(view.endpoint(endpointId)).toBeUndefined());
  await health.flush(signal);
  const { rowCount } = await pool.query(
    'select from dispatcher.endpoint_health where endpoint_id = $1',
    [endpointId.slice(3)],
  );
  expect(rowCount).toBe(0);
});
