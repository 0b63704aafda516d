import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@billhook/runtime';
import { describeKafka, uniqueName } from '@billhook/testing';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { createBatchProducer } from './batch-producer.ts';
import { createKafkaClient } from './client.ts';
import { openTopicConsumer } from './topic-consumer.ts';
import { createAdmin, createTopicKeeper } from './topic.ts';

const log = createLog({ level: 'silent', service: 'test' });
const COUNT = 3_000;
const POLL_MS = 20;

describeKafka('the consumer of a topic', (brokers) => {
  const topic = uniqueName('consumed');

  beforeAll(async () => {
    const kafka = createKafkaClient({ log }, { brokers, clientId: 'test' });
    const admin = createAdmin(kafka);
    await admin.connect();
    const { signal } = new AbortController();
    const options = { topic, partitions: 2, maxMessageBytes: 1_000 };
    await createTopicKeeper({ log }, options).prepare(admin, signal);
    await admin.disconnect();
    const producer = createBatchProducer({ log }, { brokers, clientId: 'test', topic });
    const batch = Array.from({ length: 10 }, () => ({ value: 'x' }));
    const batches = new Map([0, 1].map((partition) => [partition, batch]));
    for (let sent = 0; sent < COUNT; sent += 10) await producer.send(batches);
    producer.close();
  });

  const open = () => {
    /** By partition: the offsets that came, in order. */
    const came: number[][] = [[], []];
    const consumer = openTopicConsumer(
      { log },
      { brokers, clientId: uniqueName('consumer'), topic },
      {
        onRecords(partition, records) {
          came[partition]?.push(...records.map(({ offset }) => Number(offset)));
        },
        onReset() {},
      },
    );
    onTestFinished(() => consumer.close());
    const until = async (partition: number, offset: number): Promise<void> => {
      while (came[partition]?.at(-1) !== offset) await sleep(POLL_MS);
    };
    return { consumer, came, until };
  };

  it('brings each record once and in order, and nothing of what is not asked for', async () => {
    const { consumer, came, until } = open();
    consumer.readFrom(1, 0, COUNT);
    await until(1, COUNT - 1);
    expect(came).toEqual([[], range(0, COUNT - 1)]);
  });

  it('goes on from where it is told to, and back', async () => {
    const { consumer, came, until } = open();
    consumer.readFrom(0, COUNT - 10, 10);
    await until(0, COUNT - 1);
    consumer.readFrom(0, COUNT - 20, 20);
    while (came[0]?.length !== 30) await sleep(POLL_MS);
    expect(came[0]).toEqual([...range(COUNT - 10, COUNT - 1), ...range(COUNT - 20, COUNT - 1)]);
  });

  it('goes on where it was held, and brings the other partition meanwhile', async () => {
    const { consumer, came, until } = open();
    consumer.readFrom(0, 0, COUNT);
    consumer.hold(0);
    consumer.readFrom(1, 0, COUNT);
    await until(1, COUNT - 1);
    expect(came[0]).toEqual([]);
    consumer.resume(0);
    await until(0, COUNT - 1);
    expect(came[0]).toEqual(range(0, COUNT - 1));
  });

  it('says where the partitions begin and end, and that a topic is missing', async () => {
    const { consumer } = open();
    const ends = { low: 0, high: COUNT };
    expect(await consumer.ends()).toEqual([ends, ends]);
    const missing = openTopicConsumer(
      { log },
      { brokers, clientId: uniqueName('consumer'), topic: uniqueName('missing') },
      { onRecords() {}, onReset() {} },
    );
    onTestFinished(() => missing.close());
    expect(await missing.ends()).toBeUndefined();
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
