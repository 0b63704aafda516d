import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createLog } from '@billhook/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createBatchProducer } from './batch-producer.ts';

const log = createLog({ level: 'silent', service: 'test' });
const BATCHES = new Map([[0, [{ value: 'x' }]]]);

/** A broker that takes connections, and never answers. */
async function startSilentBroker() {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => connections.delete(socket));
    socket.resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return { brokers: [`127.0.0.1:${port}`], connections };
}

test('a send that is under way rejects when its producer is closed, and nothing stays open', async () => {
  const { brokers, connections } = await startSilentBroker();
  const producer = createBatchProducer({ log }, { brokers, clientId: 'test', topic: 'silent' });
  const sent = producer.send(BATCHES);
  await expect.poll(() => connections.size).toBe(1);
  producer.close();
  await expect(sent).rejects.toThrow();
  await expect.poll(() => connections.size).toBe(0);
});

test('a send that takes longer than its deadline rejects, and the next one begins anew', async () => {
  const { brokers, connections } = await startSilentBroker();
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
