import { createLog } from '@billhook/runtime';
import { describeKafka, uniqueName } from '@billhook/testing';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { createBatchProducer } from './batch-producer.ts';
import { createKafkaClient } from './client.ts';
import { createAdmin, createTopicKeeper, readEnds } from './topic.ts';

const log = createLog({ level: 'silent', service: 'test' });
const MAX_MESSAGE_BYTES = 10_000;

describeKafka('a producer of batches', (brokers) => {
  const topic = uniqueName('produced');
  const admin = createAdmin(createKafkaClient({ log }, { brokers, clientId: 'test' }));
  const highs = async () => (await readEnds(admin, topic))?.map(({ high }) => high);

  beforeAll(async () => {
    await admin.connect();
    const options = { topic, partitions: 3, maxMessageBytes: MAX_MESSAGE_BYTES };
    await createTopicKeeper({ log }, options).prepare(admin, AbortSignal.timeout(30_000));
    return async () => {
      await admin.deleteTopics({ topics: [topic] });
      await admin.disconnect();
    };
  });

  const open = () => {
    const producer = createBatchProducer({ log }, { brokers, clientId: 'test', topic });
    onTestFinished(() => producer.close());
    return producer;
  };

  it('sends to several partitions at once, and stores what follows a request that failed in part', async () => {
    const producer = open();
    const small = { value: 'small' };
    const large = { value: 'x'.repeat(2 * MAX_MESSAGE_BYTES) };
    const first = new Map([
      [0, [small, small]],
      [2, [small]],
    ]);
    expect(await producer.send(first)).toEqual(
      new Map([
        [0, 0],
        [2, 0],
      ]),
    );
    const inPart = new Map([
      [0, [small]],
      [1, [large]],
    ]);
    await expect(producer.send(inPart)).rejects.toThrow(/larger than the max message size/);
    expect(await highs()).toEqual([3, 0, 1]);
    // The same producer of KafkaJS would take this one for the batch before, and report it as stored.
    expect(await producer.send(new Map([[0, [small]]]))).toEqual(new Map([[0, 3]]));
    expect(await highs()).toEqual([4, 0, 1]);
  });

  it('says of a partition that is not there that nothing was stored', async () => {
    const batches = new Map([
      [2, [{ value: 'x' }]],
      [99, [{ value: 'x' }]],
    ]);
    await expect(open().send(batches)).rejects.toThrow(
      `Kafka acknowledged nothing in partition 99 of ${topic}.`,
    );
  });
});
