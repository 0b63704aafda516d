import { createAdmin, createKafkaClient } from '@billhook/kafka';
import { createLog } from '@billhook/runtime';

/** Where a topic is. */
export interface TopicPlace {
  /** Each `host:port`. */
  readonly brokers: readonly string[];
  readonly topic: string;
}

/** Removes a topic with all that it holds, if it is there. */
export async function deleteTopic({ brokers, topic }: TopicPlace): Promise<void> {
  const log = createLog({ level: 'silent', service: 'tests' });
  const admin = createAdmin(createKafkaClient({ log }, { brokers, clientId: 'billhook-tests' }));
  await admin.connect();
  try {
    if ((await admin.listTopics()).includes(topic)) await admin.deleteTopics({ topics: [topic] });
  } finally {
    await admin.disconnect();
  }
}
