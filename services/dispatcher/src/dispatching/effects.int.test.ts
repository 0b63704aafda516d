import { subscriptionV1 } from '@billhook/contracts';
import { implement, startGrpcServer, type Handlers } from '@billhook/grpc';
import { createLaneLeases } from '@billhook/lane-leases';
import { createMonitoring } from '@billhook/metrics';
import { createPool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { expect, onTestFinished, test, vi } from 'vitest';

import { optionsOf } from '../engine/engine.fixture.ts';
import { Engine } from '../engine/engine.ts';
import { createDeliveryMetrics } from '../metrics/delivery-metrics.ts';
import { createRecorder } from '../postgres/recorder.ts';
import { createSubscriptionClient, type SubscriptionClient } from '../subscriptions/grpc-source.ts';
import { createEffects } from './effects.ts';
import { createEngineLoop, type EngineLoop } from './engine-loop.ts';

type Definition = typeof subscriptionV1.SubscriptionServiceService;

const log = createLog({ level: 'silent', service: 'test' });
const ENDPOINT = `ep_${'a'.repeat(32)}`;

function unused(): Promise<never> {
  return Promise.reject(new Error('the effects do not call this'));
}

/** A subscription service that disables whatever it is asked to. */
async function startSubscriptions(disabled: string[]): Promise<SubscriptionClient> {
  const handlers: Handlers<Definition> = {
    register: unused,
    unregister: unused,
    listSubscriptions: unused,
    getEndpoint: unused,
    listEndpoints: unused,
    updateEndpoint: unused,
    pauseEndpoint: unused,
    resumeEndpoint: unused,
    enableEndpoint: unused,
    rotateSecret: unused,
    getRevision: unused,
    async *watch() {},
    disableEndpoint({ endpointId }) {
      disabled.push(endpointId);
      const state = 'ENDPOINT_STATE_DISABLED';
      const endpoint = subscriptionV1.Endpoint.fromPartial({ endpointId, state });
      return Promise.resolve({ endpoint });
    },
  };
  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
    log,
    services: [implement<Definition>(subscriptionV1.SubscriptionServiceService, handlers)],
  });
  const client = createSubscriptionClient(server.address);
  onTestFinished(async () => {
    client.close();
    await server.stop(100);
  });
  return client;
}

test('an endpoint that answered 410 stands as the view shows it once it is current', async () => {
  const disabled: string[] = [];
  const subscriptions = await startSubscriptions(disabled);
  // Nothing of this test asks Postgres.
  const pool = createPool({
    connectionString: 'postgres://127.0.0.1:1/none',
    applicationName: 'test',
    maxConnections: 1,
    log,
  });
  const leases = createLaneLeases(
    { pool, log, monotonicMs: () => performance.now() },
    { schema: 'none', lanes: 1, ownerId: 'test' },
  );
  const view = Promise.withResolvers<void>();
  const ended = new AbortController();
  const engine = new Engine(optionsOf());
  const changed = vi.spyOn(engine, 'endpointsChanged');
  const carryOut = createEffects(
    {
      pool,
      recorder: createRecorder({ pool, leases, log }),
      leases,
      refiller: () => Promise.resolve([]),
      health: { note: () => undefined },
      metrics: createDeliveryMetrics(createMonitoring()),
      lateAnswers: { leave: () => undefined, waiting: () => 0 },
      sender: { send: () => undefined, ping: () => undefined },
      subscriptions,
      log,
      signal: ended.signal,
      awaitCurrentView: () => view.promise,
      onRecorded: () => undefined,
    },
    (): EngineLoop => loop,
  );
  const loop = createEngineLoop(engine, carryOut);
  onTestFinished(async () => {
    ended.abort();
    loop.stop();
    await pool.end();
  });

  carryOut({ kind: 'report_gone', endpointId: ENDPOINT, tenant: 'default', revision: 1 });
  await vi.waitFor(() => expect(disabled).toEqual([ENDPOINT]), 5_000);
  expect(changed).not.toHaveBeenCalled();
  // It was disabled and enabled again, and the watch brought both at once: as no change at all.
  view.resolve();
  await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1), 5_000);
  expect(changed.mock.calls[0]?.[0]).toEqual([ENDPOINT]);
});
