import { setTimeout as sleep } from 'node:timers/promises';
import { createAdmin, createBatchProducer, createKafkaClient, readEnds } from '@billhook/kafka';
import type { Admin, BatchProducer, Message, PartitionEnds } from '@billhook/kafka';
import type { Log } from '@billhook/runtime';
import { uniqueName } from '@billhook/testing';
import type { LogRecord } from '../event-log.ts';
import { encodeRecord } from './record.ts';

/** A topic of a test, and a way to write whatever is wanted into it. */
export interface TestTopic {
  readonly name: string;
  readonly admin: Admin;
  /** Writes messages as one batch. */
  send(partition: number, messages: Message[]): Promise<void>;
  /** Writes events as a relay would. */
  append(lane: number, positions: readonly number[], history?: string): Promise<void>;
  /** Deletes the topic, and makes it anew. */
  replace(): Promise<void>;
  delete(): Promise<void>;
  make(): Promise<void>;
  ends(lane: number): Promise<PartitionEnds>;
  close(): Promise<void>;
}

const POLL_MS = 20;

/** Makes a topic. */
export async function makeTopic(
  deps: { readonly log: Log },
  options: { readonly brokers: readonly string[]; readonly partitions: number },
): Promise<TestTopic> {
  const { brokers, partitions } = options;
  const name = uniqueName('events');
  const abort = new AbortController();
  const kafka = createKafkaClient(deps, { brokers, clientId: 'test', signal: abort.signal });
  const admin = createAdmin(kafka);
  await admin.connect();
  const producers = new Map<number, BatchProducer>();

  const topic: TestTopic = {
    name,
    admin,
    async send(partition, messages) {
      let producer = producers.get(partition);
      if (producer === undefined) {
        producer = createBatchProducer(deps, { brokers, clientId: 'test', topic: name });
        producers.set(partition, producer);
      }
      await producer.send(new Map([[partition, messages]]));
    },
    async append(lane, positions, history = 'one') {
      await topic.send(
        lane,
        positions.map((position) => encodeRecord(recordAt(lane, position, history))),
      );
    },
    async replace() {
      await topic.delete();
      await topic.make();
    },
    async delete() {
      for (const producer of producers.values()) producer.close();
      producers.clear();
      await admin.deleteTopics({ topics: [name] });
      while ((await admin.listTopics()).includes(name)) await sleep(POLL_MS);
    },
    async make() {
      const topics = [{ topic: name, numPartitions: partitions }];
      await admin.createTopics({ waitForLeaders: false, topics });
      while ((await readEnds(admin, name).catch(() => undefined)) === undefined) {
        await sleep(POLL_MS);
      }
    },
    async ends(lane) {
      const ends = (await readEnds(admin, name))?.[lane];
      if (ends === undefined) throw new Error(`The topic has no partition ${lane}.`);
      return ends;
    },
    async close() {
      for (const producer of producers.values()) producer.close();
      await admin.disconnect();
      abort.abort();
    },
  };
  await topic.make();
  return topic;
}

/** The event at a position of a lane; another history has other ids. */
export function recordAt(lane: number, position: number, history = 'one'): LogRecord {
  const id = Buffer.from(`${history}:${lane}:${position}`).toString('hex').padEnd(32, '0');
  return {
    lane,
    position,
    id: `evt_${id.slice(0, 32)}`,
    tenant: 'default',
    streamId: `invoice-${position % 7}`,
    version: Math.ceil(position / 7),
    type: 'note_added',
    data: Buffer.from(`payload ${position}`),
    recordedAtMs: Date.parse('2026-01-01T00:00:00Z') + position,
    traceparent: undefined,
    offset: undefined,
  };
}
