import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKafkaBroker } from '@billhook/embedded-kafka';
import { expect, onTestFinished, test } from 'vitest';
import { describeOwnKafka } from './kafka.ts';

describeOwnKafka('a broker that chose its port', () => {
  test('takes another one when that is taken before its first start, and keeps it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'billhook-own-broker-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const broker = await createKafkaBroker({ folder });
    const chosen = broker.brokers;
    const other = createServer().listen(Number(chosen.split(':')[1]), '127.0.0.1');
    await once(other, 'listening');
    await broker.start();
    onTestFinished(() => broker.stop());
    const { brokers } = broker;
    expect(brokers).not.toBe(chosen);
    await broker.stop();
    await broker.start();
    expect(broker.brokers).toBe(brokers);
    other.close();
  });
});
