import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createTestStore } from './relay.fixture.ts';
import { openRelay } from './open-relay.ts';
import { problemOf } from './relay-metrics.ts';

const WAIT = { timeout: 20_000, interval: 50 };
const START_TIMEOUT_MS = 8_000;
const log = createLog({ level: 'silent', service: 'test' });
const database = useTestDatabase();

/** Listens, and answers nothing. */
async function listen(): Promise<{ readonly server: Server; readonly broker: string }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // oxlint-disable-next-line no-unsafe-type-assertion -- it listens on a port.
  const { port } = server.address() as AddressInfo;
  return { server, broker: `127.0.0.1:${port}` };
}

test.each(['refuses connections', 'answers nothing'])(
  'the relay starts while the broker %s, and says that nothing is relayed',
  async (how) => {
    const store = await createTestStore(database.connectionString);
    onTestFinished(() => store.close());
    const { server, broker } = await listen();
    if (how === 'refuses connections') await once(server.close(), 'close');
    else onTestFinished(() => void server.close());
    const config = {
      databaseUrl: database.connectionString,
      lanes: store.lanes,
      address: { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
      requestIdRetentionMs: 60_000,
      shutdownTimeoutMs: 10_000,
      kafka: undefined,
    };
    const beganAtMs = performance.now();
    const relay = await openRelay(config, { brokers: [broker], topic: 'events' }, log);
    onTestFinished(() => relay.stop());
    expect(performance.now() - beganAtMs).toBeLessThan(START_TIMEOUT_MS);
    await vi.waitFor(() => expect(problemOf(relay)).toMatch(/^events are not relayed: /), WAIT);
    await vi.waitFor(() => expect(relay.state().lanes).toHaveLength(store.lanes), WAIT);
    // What the topic holds is not known.
    expect(await relay.readLag()).toBeNaN();
  },
);
