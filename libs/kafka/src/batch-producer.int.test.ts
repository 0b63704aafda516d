import { createLog } from '@billhook/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createBatchProducer } from './batch-producer.ts';
import { startSilentBroker } from './silent-broker.fixture.ts';

const log = createLog({ level: 'silent', service: 'test' });
const BATCHES = new Map([[0, [{ value: 'x' }]]]);

test('a send that is under way rejects when its producer is closed, and nothing stays open', async () => {
  const { host, port, connections } = await startSilentBroker();
  const brokers = [`${host}:${port}`];
  const producer = createBatchProducer({ log }, { brokers, clientId: 'test', topic: 'silent' });
  const sent = producer.send(BATCHES);
  await expect.poll(() => connections.size).toBe(1);
  producer.close();
  await expect(sent).rejects.toThrow();
  await expect.poll(() => connections.size).toBe(0);
});

test('a send that takes longer than its deadline rejects, and the next one begins anew', async () => {
  const { host, port, connections } = await startSilentBroker();
  const brokers = [`${host}:${port}`];
  const options = { brokers, clientId: 'test', topic: 'silent', deadlineMs: 300 };
  const producer = createBatchProducer({ log }, options);
  onTestFinished(() => producer.close());
  for (let time = 0; time < 2; time += 1) {
    await expect(producer.send(BATCHES)).rejects.toThrow(
      'Kafka did not acknowledge within 300 ms.',
    );
    await expect.poll(() => connections.size).toBe(0);
  }
});
