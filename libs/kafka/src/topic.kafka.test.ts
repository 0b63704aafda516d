import { createLog } from '@billhook/runtime';
import { describeKafka, uniqueName } from '@billhook/testing';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createKafkaClient } from './client.ts';
import { ConfigResourceTypes, createAdmin, createTopicKeeper } from './topic.ts';

const log = createLog({ level: 'silent', service: 'test' });

describeKafka('the topic', (brokers) => {
  it('that is not replicated as it should be is told once, and again when that changes', async () => {
    const admin = createAdmin(createKafkaClient({ log }, { brokers, clientId: 'test' }));
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    const topic = uniqueName('prepared');
    onTestFinished(() => admin.deleteTopics({ topics: [topic] }));
    const warn = vi.spyOn(log, 'warn');
    onTestFinished(() => warn.mockRestore());
    const keeper = createTopicKeeper({ log }, { topic, partitions: 2, maxMessageBytes: 1_000 });
    const { signal } = new AbortController();
    const prepare = () => keeper.prepare(admin, signal);

    await prepare();
    await prepare();
    expect(warn).toHaveBeenCalledTimes(1);
    await setInSyncReplicas(2);
    await vi.waitFor(async () => {
      await prepare();
      expect(warn).toHaveBeenCalledTimes(2);
    }, 5_000);
    await prepare();
    expect(warn).toHaveBeenCalledTimes(2);
    expect(warn.mock.calls.map(([fields]) => fields)).toEqual([
      { topic, replicas: 1, minInSyncReplicas: 1 },
      { topic, replicas: 1, minInSyncReplicas: 2 },
    ]);

    async function setInSyncReplicas(count: number): Promise<void> {
      const kept = ['retention.ms', 'retention.bytes'].map((name) => ({ name, value: '-1' }));
      await admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: [...kept, { name: 'min.insync.replicas', value: String(count) }],
          },
        ],
      });
    }
  });
});
