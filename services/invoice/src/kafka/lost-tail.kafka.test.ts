import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKafkaBroker } from '@billhook/embedded-kafka';
import { createKafkaClient } from '@billhook/kafka';
import { createLog } from '@billhook/runtime';
import { createTestDatabase, describeOwnKafka } from '@billhook/testing';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createTestStore, readTopic, startTestRelay } from './relay.fixture.ts';

const WAIT = { timeout: 40_000, interval: 100 };
const TEST_TIMEOUT_MS = 180_000;
const topic = 'events';

describeOwnKafka('a broker whose disk forgot the latest records', () => {
  test(
    'has them again, also when a batch comes to it before anybody knows',
    { timeout: TEST_TIMEOUT_MS },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'billhook-lost-tail-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const [data, copy] = [join(folder, 'broker', 'data'), join(folder, 'copy')];
      const broker = await createKafkaBroker({ folder: join(folder, 'broker') });
      await broker.start();
      onTestFinished(() => broker.stop());
      const database = await createTestDatabase();
      onTestFinished(() => database.drop());
      const store = await createTestStore(database.connectionString);
      onTestFinished(() => store.close());
      const startRelay = () =>
        startTestRelay(database.connectionString, { brokers: [broker.brokers], topic });
      type Relay = Awaited<ReturnType<typeof startRelay>>;
      const relayed = (relay: Relay) =>
        vi.waitFor(async () => {
          expect(relay.state().lanes).toHaveLength(store.lanes);
          expect(await relay.readLag()).toBe(0);
        }, WAIT);

      const first = await startRelay();
      await store.append(100);
      await relayed(first);
      await first.end();
      await broker.stop();
      await cp(data, copy, { recursive: true });
      await broker.start();
      // Of its producers the copy knows nothing, and will refuse nothing that they send.
      const second = await startRelay();
      onTestFinished(() => second.end());
      await store.append(100);
      await relayed(second);
      await broker.kill();
      await store.append(40);
      await rm(data, { recursive: true });
      await cp(copy, data, { recursive: true });
      await broker.start();

      const kafka = createKafkaClient({ log }, { brokers: [broker.brokers], clientId: 'test' });
      await vi.waitFor(async () => {
        const found = await readTopic(kafka, topic);
        for (const [lane, ids] of await store.appended()) {
          const inTopic = new Set(found.get(lane)?.map(({ id }) => id));
          expect(ids.filter((id) => !inTopic.has(id))).toEqual([]);
        }
      }, WAIT);
    },
  );
});

const log = createLog({ level: 'silent', service: 'test' });
