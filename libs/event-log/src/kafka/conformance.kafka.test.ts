import { setTimeout as sleep } from 'node:timers/promises';
import { createPool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { describeKafka, uniqueName, useTestDatabase } from '@billhook/testing';
import { makeStore, startAppender } from '../appender.fixture.ts';
import { describeEventLog } from '../conformance.ts';
import type { EventLogHarness } from '../conformance.ts';
import type { EventLogReader } from '../event-log.ts';
import { openPostgresEventLog } from '../postgres/postgres-event-log.ts';
import { openKafkaEventLog } from './kafka-event-log.ts';
import { startKafkaProxy } from './kafka-proxy.fixture.ts';
import { encodeRecord } from './record.ts';
import { makeTopic } from './test-topic.fixture.ts';
import type { TestTopic } from './test-topic.fixture.ts';

const lanes = 16;
const schema = 'notes';
const log = createLog({ level: 'silent', service: 'test' });
const database = useTestDatabase();

describeKafka('with a broker', (brokers) => {
  describeEventLog('the event log in Kafka', () => startHarness(brokers));
});

/** Appends go through the event store, and are relayed from there. */
async function startHarness(brokers: readonly string[]): Promise<EventLogHarness> {
  const { connectionString } = database;
  const pool = createPool({
    connectionString,
    applicationName: 'event-log-test',
    maxConnections: 2,
    log,
  });
  await makeStore(pool, { schema, lanes });
  const appenders = Array.from({ length: 3 }, () =>
    startAppender({ connectionString, log }, { schema, lanes }),
  );
  const store = await openPostgresEventLog({ pool, log }, { schema, connectionString });
  const topic = await makeTopic({ log }, { brokers, partitions: lanes });
  const proxy = await startKafkaProxy(brokers[0] ?? '');
  const stopping = new AbortController();
  const relaying = relay(store, topic, stopping.signal);
  return {
    lanes,
    async append(stream, payloads, process = 0) {
      await appenders[process]?.append(stream, payloads);
    },
    open: () =>
      openKafkaEventLog(
        { log },
        { brokers: [proxy.brokers], clientId: uniqueName('reader'), topic: topic.name, lanes },
      ),
    async breakConnections() {
      proxy.cut();
      await sleep(20);
      proxy.mend();
    },
    async close() {
      stopping.abort();
      await relaying;
      await topic.close();
      await proxy.close();
      await Promise.all(appenders.map((appender) => appender.stop()));
      await store.close();
      await pool.end();
    },
  };
}

/** Sends what is appended, lane by lane. */
async function relay(store: EventLogReader, topic: TestTopic, signal: AbortSignal): Promise<void> {
  const sent = Array.from({ length: lanes }, () => 0);
  while (!signal.aborted) {
    const requests = sent.map((after, lane) => ({ lane, after, limit: 100 }));
    const slices = await store.read(requests, signal).catch(() => []);
    const full = slices.filter(({ events }) => events.length > 0);
    await Promise.all(full.map(({ lane, events }) => topic.send(lane, events.map(encodeRecord))));
    for (const { lane, events } of full) sent[lane] = events.at(-1)?.position ?? 0;
    if (full.length === 0) await store.waitForMore(signal, 1_000);
  }
}
