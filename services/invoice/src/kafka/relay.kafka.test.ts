import { setTimeout as sleep } from 'node:timers/promises';
import {
  ConfigResourceTypes,
  createAdmin,
  createBatchProducer,
  createKafkaClient,
} from '@billhook/kafka';
import { encodeRecord } from '@billhook/event-log';
import { createLog } from '@billhook/runtime';
import { createTestDatabase, describeKafka, uniqueName } from '@billhook/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  createTestStore,
  firstIds,
  readTopic,
  startTestRelay,
  type TestRelay,
  type TestStore,
} from './relay.fixture.ts';
import { problemOf } from './relay-metrics.ts';

const WAIT = { timeout: 30_000, interval: 50 };
/** A lane that is halted is looked at again every 3 s. */
const ANOTHER_LOOK_MS = 4_000;
const CLOSE_GAP = `do $$
  declare behind record;
  begin
    for behind in
      select event.position from invoice.event join invoice.relay_cursor as cursor using (lane)
      where lane = 2 and event.position > cursor.position order by event.position
    loop
      update invoice.event set position = position - 1
      where lane = 2 and position = behind.position;
    end loop;
    update invoice.lane set position = position - 1 where lane = 2;
  end $$`;
const KEEP_EVERYTHING = ['retention.ms', 'retention.bytes'].map((name) => ({ name, value: '-1' }));
const log = createLog({ level: 'silent', service: 'test' });

describeKafka('the relay', (brokers) => {
  const kafka = createKafkaClient({ log }, { brokers, clientId: 'test' });
  let cleanUp: AsyncDisposableStack;
  let store: TestStore;
  let connectionString: string;
  let topic: string;

  beforeEach(async () => {
    cleanUp = new AsyncDisposableStack();
    const database = await createTestDatabase();
    cleanUp.defer(() => database.drop());
    ({ connectionString } = database);
    store = await createTestStore(connectionString);
    cleanUp.defer(() => store.close());
    topic = uniqueName('events');
    cleanUp.defer(() => withAdmin((admin) => admin.deleteTopics({ topics: [topic] })));
  });
  afterEach(() => cleanUp.disposeAsync());

  async function withAdmin(work: (admin: ReturnType<typeof createAdmin>) => Promise<unknown>) {
    const admin = createAdmin(kafka);
    await admin.connect();
    try {
      await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async function allowBatchesOf(bytes: number): Promise<void> {
    const limit = { name: 'max.message.bytes', value: String(bytes) };
    await withAdmin((admin) => {
      const configEntries = [...KEEP_EVERYTHING, limit];
      const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }];
      return admin.alterConfigs({ validateOnly: false, resources });
    });
  }

  async function start(): Promise<TestRelay> {
    const relay = await startTestRelay(connectionString, { brokers, topic });
    cleanUp.defer(() => relay.end());
    return relay;
  }

  /** Waits until nothing of the store is missing in the topic, in its order; repeats may be there. */
  async function relayed(...relays: readonly TestRelay[]) {
    await vi.waitFor(async () => {
      const led = relays.flatMap((relay) => relay.state().lanes.map(({ lane }) => lane));
      expect(new Set(led).size).toBe(store.lanes);
      const lags = await Promise.all(relays.map((relay) => relay.readLag()));
      expect(Math.max(...lags)).toBe(0);
    }, WAIT);
    const found = await readTopic(kafka, topic);
    expect(firstIds(found)).toEqual(await store.appended());
    return found;
  }

  const countOf = (found: Awaited<ReturnType<typeof relayed>>) =>
    [...found.values()].reduce((sum, records) => sum + records.length, 0);

  test('what is appended stands in its lane of the topic, once and in order', async () => {
    await store.append(300);
    const relay = await start();
    await store.append(300);
    expect(countOf(await relayed(relay))).toBe(600);
  });

  test('a leader that leaves hands its lanes over without a repeat', async () => {
    const [first, second] = [await start(), await start()];
    for (let round = 0; round < 5; round += 1) await store.append(100);
    await relayed(first, second);
    await first.stop(5_000);
    await store.append(100);
    expect(countOf(await relayed(second))).toBe(600);
  });

  test('a leader that leaves as soon as it has sent something has saved how far it is', async () => {
    const relay = await start();
    await relayed(relay);
    await store.append(100);
    await vi.waitFor(async () => expect(await relay.readLag()).toBe(0), WAIT);
    await relay.stop(5_000);
    const { rows } = await store.pool.query<{ sent: number }>(
      'select sum(position)::int as sent from invoice.relay_cursor',
    );
    expect(rows[0]?.sent).toBe(100);
  });

  test('the lanes of a leader that is cut off are led by another one, and it does no harm later', async () => {
    const [first, second] = [await start(), await start()];
    await store.append(200);
    await relayed(first, second);
    first.postgres.cut();
    await store.append(200);
    await relayed(second);
    first.postgres.mend();
    await store.append(200);
    await relayed(first, second);
  });

  test('a topic that is deleted while nothing happens is made and filled again', async () => {
    await store.append(100);
    const relay = await start();
    await relayed(relay);
    const warn = vi.spyOn(relay.log, 'warn');
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    await vi.waitFor(async () => expect(countOf(await readTopic(kafka, topic))).toBe(100), WAIT);
    await store.append(10);
    await relayed(relay);
    // That one broker may lose the topic was said before, and is as it was.
    expect(new Set(warn.mock.calls.map(([, message]) => message))).toEqual(
      new Set(['the topic was made anew or lost its tail: what is missing is sent again']),
    );
  });

  test('a topic that is deleted under load is filled again', async () => {
    const relay = await start();
    for (let round = 0; round < 10; round += 1) {
      await store.append(50);
      if (round === 4) await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    }
    // A batch may have come to the new topic before anybody knew that it is one.
    await vi.waitFor(async () => {
      const appended = await store.appended();
      const found = await readTopic(kafka, topic);
      for (const [lane, ids] of appended) {
        expect(new Set(found.get(lane)?.map(({ id }) => id))).toEqual(new Set(ids));
        expect(hasInOrder(found.get(lane) ?? [], ids)).toBe(true);
      }
    }, WAIT);
    await vi.waitFor(async () => expect(await relay.readLag()).toBe(0), WAIT);
  });

  test('what a topic lost at its end is sent again from there', async () => {
    await store.append(100);
    const before = await start();
    const complete = await relayed(before);
    await before.stop(5_000);
    await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
    await withAdmin((admin) =>
      admin.createTopics({
        topics: [{ topic, numPartitions: store.lanes, configEntries: KEEP_EVERYTHING }],
      }),
    );
    const producer = createBatchProducer({ log }, { brokers, clientId: 'test', topic });
    await producer.send(
      new Map(
        [...complete].map(([lane, records]) => [lane, records.slice(0, 5).map(encodeRecord)]),
      ),
    );
    producer.close();
    const relay = await start();
    await vi.waitFor(async () => expect(countOf(await readTopic(kafka, topic))).toBe(100), WAIT);
    expect(countOf(await relayed(relay))).toBe(100);
  });

  test('a lane whose store lost what was relayed is halted, and nothing is sent in its place', async () => {
    await store.append(40);
    const before = await start();
    await relayed(before);
    await before.stop(5_000);
    await store.pool.query(
      `update invoice.event set id = gen_random_uuid() where lane = 2 and position =
         (select max(position) from invoice.event where lane = 2)`,
    );
    await store.pool.query('update invoice.relay_cursor set position = position - 1');
    await store.pool.query('update invoice.relay_cursor set kafka_offset = kafka_offset - 1');
    const relay = await start();
    await vi.waitFor(() => expect(haltedLanesOf(relay)).toEqual([2]), WAIT);
    expect(countOf(await readTopic(kafka, topic))).toBe(40);
  });

  test('a lane that is halted says so once, and once that it is relayed again', async () => {
    await store.append(40);
    const relay = await start();
    await relayed(relay);
    const error = vi.spyOn(relay.log, 'error');
    const info = vi.spyOn(relay.log, 'info');
    // What is to be sent next is missing in the store.
    await store.pool.query('update invoice.lane set position = position + 1 where lane = 2');
    await store.append(40);
    await vi.waitFor(() => expect(haltedLanesOf(relay)).toEqual([2]), WAIT);
    await sleep(ANOTHER_LOOK_MS);
    expect(haltedLanesOf(relay)).toEqual([2]);
    expect(error.mock.calls).toEqual([
      [expect.objectContaining({ lane: 2 }), 'a lane is not relayed any more: nothing is skipped'],
    ]);
    expect(info).not.toHaveBeenCalled();
    await store.pool.query(CLOSE_GAP);
    await relayed(relay);
    await sleep(ANOTHER_LOOK_MS);
    expect(info.mock.calls).toEqual([[{ lane: 2 }, 'the lane is relayed again']]);
    expect(error).toHaveBeenCalledTimes(1);
    expect(haltedLanesOf(relay)).toEqual([]);
  });

  test.each(['while it is relayed', 'while nobody relays it'])(
    'a topic that loses the beginning of a lane %s is told, until it is made anew',
    async (when) => {
      await store.append(100);
      const before = await start();
      await relayed(before);
      if (when === 'while nobody relays it') await before.stop(5_000);
      await withAdmin(async (admin) => {
        // KafkaJS deletes from topics only that it has heard of.
        const ends = await admin.fetchTopicOffsets(topic);
        const { high = '0' } = ends.find(({ partition }) => partition === 1) ?? {};
        // More than repeats, which there may be after an error, could hide.
        const offset = String(Number(high) - 1);
        await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset }] });
      });
      const relay = when === 'while nobody relays it' ? await start() : before;
      await vi.waitFor(() => {
        expect(problemOf(relay)).toMatch(/^the topic lost the beginning of lane 1: delete /);
      }, WAIT);
      await store.append(10);
      await vi.waitFor(async () => expect(await relay.readLag()).toBe(0), WAIT);
      expect(problemOf(relay)).toBeDefined();
      await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
      await vi.waitFor(() => expect(problemOf(relay)).toBeUndefined(), WAIT);
      await relayed(relay);
    },
  );

  test('a partition that refuses a batch keeps no other lane waiting, and nothing is lost or repeated', async () => {
    await store.append(100);
    const relay = await start();
    await relayed(relay);
    await allowBatchesOf(40 * 1024);
    await Promise.all([store.append(1, 60 * 1024), store.append(100)]);
    const lanesBehind = async () => {
      const ends = new Map(relay.state().lanes.map(({ lane, cursor }) => [lane, cursor.position]));
      const appended = [...(await store.appended())];
      return appended.filter(([lane, ids]) => ends.get(lane) !== ids.length).length;
    };
    await vi.waitFor(async () => expect(await lanesBehind()).toBe(1), WAIT);
    await store.append(100);
    await vi.waitFor(async () => expect(await lanesBehind()).toBe(1), WAIT);
    await allowBatchesOf(1024 * 1024);
    expect(countOf(await relayed(relay))).toBe(301);
  });

  test('a batch stays below its bytes, whatever the events are', async () => {
    await store.append(60, 60 * 1024);
    expect(countOf(await relayed(await start()))).toBe(60);
  });
});

function haltedLanesOf(relay: TestRelay): readonly number[] {
  const halted = relay.state().lanes.filter(({ haltReason }) => haltReason !== undefined);
  return halted.map(({ lane }) => lane);
}

/** Says whether the ids stand there in this order, with anything in between. */
function hasInOrder(records: readonly { readonly id: string }[], ids: readonly string[]): boolean {
  let next = 0;
  for (const { id } of records) if (id === ids[next]) next += 1;
  return next === ids.length;
}
