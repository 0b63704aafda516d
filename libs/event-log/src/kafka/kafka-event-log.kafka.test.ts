import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@billhook/runtime';
import { describeKafka, uniqueName } from '@billhook/testing';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { EventLogReader } from '../event-log.ts';
import { openKafkaEventLog } from './kafka-event-log.ts';
import type { KafkaEventLogOptions } from './kafka-event-log.ts';
import { followLane } from './lane-follower.fixture.ts';
import { makeTopic, recordAt } from './test-topic.fixture.ts';
import type { TestTopic } from './test-topic.fixture.ts';

const lanes = 4;
const log = createLog({ level: 'silent', service: 'test' });
/** A lane that is halted is looked at again when it is asked for after some such time. */
const LOOKED_AT_AGAIN_MS = 300;
const never = new AbortController().signal;

describeKafka('the event log in Kafka, beyond the port', (brokers) => {
  let topic: TestTopic;

  beforeEach(async () => {
    topic = await makeTopic({ log }, { brokers, partitions: lanes });
    return () => topic.close();
  });

  const open = async (options: Partial<KafkaEventLogOptions> = {}): Promise<EventLogReader> => {
    const clientId = uniqueName('reader');
    const reader = await openKafkaEventLog(
      { log },
      { brokers, clientId, topic: topic.name, lanes, ...options },
    );
    onTestFinished(() => reader.close());
    return reader;
  };

  const setup = { open, topic: () => topic };
  describe('what it reads', () => describeReading(setup));
  describe('where it begins', () => describePlaces(setup));
  describe('a topic that changes', () => describeChanges(setup));
});

interface Setup {
  readonly open: (options?: Partial<KafkaEventLogOptions>) => Promise<EventLogReader>;
  readonly topic: () => TestTopic;
}

function describeReading({ open, topic }: Setup): void {
  it('says where Kafka keeps each event', async () => {
    await topic().append(1, range(1, 3));
    await topic().append(1, range(2, 4));
    const follower = followLane(await open(), { lane: 1 });
    await follower.until(4);
    expect(follower.taken).toEqual(
      [0, 1, 2, 5].map((offset, index) => ({ ...recordAt(1, index + 1), offset })),
    );
  });

  it('drops what a relay repeats', async () => {
    await topic().append(0, range(1, 20));
    await topic().append(0, range(5, 20));
    await topic().append(0, range(21, 25));
    await topic().append(0, range(15, 30));
    const follower = followLane(await open(), { lane: 0 });
    await follower.until(30);
    expect(positionsOf(follower)).toEqual(range(1, 30));
  });

  it('halts at a gap, and stays halted while it is there', async () => {
    await topic().append(0, range(1, 5));
    await topic().append(0, range(7, 9));
    const follower = followLane(await open(), { lane: 0 });
    for (let time = 0; time < 5; time += 1) {
      expect(await follower.untilHalted()).toMatchObject({ reason: 'gap', position: 6 });
      await sleep(LOOKED_AT_AGAIN_MS);
    }
    expect(positionsOf(follower)).toEqual(range(1, 5));
  });

  it('halts at another event at a position that it read, and stays halted', async () => {
    await topic().append(0, range(1, 5));
    await topic().append(0, [3], 'another');
    await topic().append(0, range(6, 9));
    const follower = followLane(await open(), { lane: 0 });
    for (let time = 0; time < 5; time += 1) {
      const halt = await follower.untilHalted();
      expect(halt).toMatchObject({ reason: 'another_event', position: 3 });
      await sleep(LOOKED_AT_AGAIN_MS);
    }
    expect(positionsOf(follower)).toEqual(range(1, 5));
  });

  it('halts at a record that is no event, says why, and lets the other lanes go on', async () => {
    await topic().append(0, range(1, 5));
    await topic().send(0, [{ value: 'nonsense', headers: { ce_id: 'x' } }]);
    await topic().append(0, range(6, 9));
    await topic().append(1, range(1, 5));
    const reader = await open();
    const follower = followLane(reader, { lane: 0 });
    for (let time = 0; time < 3; time += 1) {
      const halt = await follower.untilHalted();
      expect(halt).toMatchObject({ reason: 'undecodable', position: 6 });
      expect(String(halt.cause)).toContain('offset 5 of partition 0');
    }
    const other = followLane(reader, { lane: 1 });
    await other.until(5);
    await topic().append(1, range(6, 7));
    await other.until(7);
    expect(positionsOf(follower)).toEqual(range(1, 5));
  });

  it('lets no lane that nobody empties stop the others, and reads little of it ahead', async () => {
    const count = 6_000;
    for (let first = 1; first <= count; first += 500) {
      await topic().append(0, range(first, first + 499));
    }
    await topic().append(1, range(1, 500));
    const reader = await open({ limits: { maxBytes: 1_000_000, maxEvents: 100 } });
    const read = () => reader.read([{ lane: 0, after: 0, limit: count }], never);
    while ((await read())[0]?.events.length === 0) await reader.waitForMore(never, 100);
    const other = followLane(reader, { lane: 1 });
    await other.until(500);
    await topic().append(1, range(501, 600));
    await other.until(600);
    const [slow] = await read();
    expect(slow?.events.length).toBeGreaterThanOrEqual(100);
    expect(slow?.events.length).toBeLessThan(count);
    const emptied = followLane(reader, { lane: 0 });
    await emptied.until(count);
    expect(positionsOf(emptied)).toEqual(range(1, count));
  });

  it('reads many lanes with a backlog', async () => {
    const count = 2_000;
    for (let lane = 0; lane < lanes; lane += 1) {
      for (let first = 1; first <= count; first += 500) {
        await topic().append(lane, range(first, first + 499));
      }
    }
    const reader = await open({ limits: { maxBytes: 1_000_000, maxEvents: 100 } });
    await Promise.all(
      range(0, lanes - 1).map(async (lane) => {
        const follower = followLane(reader, { lane });
        await follower.until(count);
        expect(positionsOf(follower)).toEqual(range(1, count));
      }),
    );
  });
}

function describePlaces({ open, topic }: Setup): void {
  it('is found whatever the hint', async () => {
    await topic().append(0, range(1, 100));
    await topic().append(0, range(1, 100));
    await topic().append(0, range(101, 110));
    const reader = await open();
    for (const offset of [undefined, 0, 50, 104, 203, 204, 205, 209, 210, 1_000_000, -5]) {
      const follower = followLane(reader, { lane: 0, after: 105, offset });
      await follower.until(5);
      expect(positionsOf(follower)).toEqual(range(106, 110));
    }
  });

  it('is looked for up to the end before it is said to be lost, and is found when it comes', async () => {
    await topic().append(0, range(1, 10));
    const follower = followLane(await open(), { lane: 0, after: 15, offset: 3 });
    expect(await follower.untilHalted()).toMatchObject({ reason: 'lost_tail', position: 15 });
    await topic().append(0, range(11, 20));
    await follower.until(5);
    expect(positionsOf(follower)).toEqual(range(16, 20));
  });

  it('is behind what the topic lost of its beginning, if nothing else is lost', async () => {
    await topic().append(0, range(1, 100));
    await topic().admin.deleteTopicRecords({
      topic: topic().name,
      partitions: [{ partition: 0, offset: '50' }],
    });
    const reader = await open();
    const whole = followLane(reader, { lane: 0, after: 50, offset: 49 });
    await whole.until(50);
    expect(positionsOf(whole)).toEqual(range(51, 100));
    const later = followLane(reader, { lane: 0, after: 60 });
    await later.until(40);
    expect(positionsOf(later)).toEqual(range(61, 100));
    const gone = followLane(reader, { lane: 0, after: 49 });
    expect(await gone.untilHalted()).toMatchObject({ reason: 'gap', position: 50 });
    const beginning = followLane(reader, { lane: 0 });
    expect(await beginning.untilHalted()).toMatchObject({ reason: 'gap', position: 1 });
  });

  it('is found in a topic that is made after the reader opened', async () => {
    await topic().delete();
    const follower = followLane(await open(), { lane: 2, after: 2 });
    const found = follower.until(3);
    await topic().make();
    await topic().append(2, range(1, 5));
    await found;
    expect(positionsOf(follower)).toEqual(range(3, 5));
  });
}

function describeChanges({ open, topic }: Setup): void {
  it('goes on by itself when the topic was made anew and is filled again', async () => {
    await topic().append(0, range(1, 50));
    await topic().append(1, range(1, 5));
    const reader = await open();
    const follower = followLane(reader, { lane: 0 });
    const quiet = followLane(reader, { lane: 1 });
    await Promise.all([follower.until(50), quiet.until(5)]);
    await topic().replace();
    expect(await follower.untilHalted()).toMatchObject({ reason: 'lost_tail', position: 50 });
    await topic().append(0, range(1, 30));
    await topic().append(0, range(31, 60));
    await topic().append(1, range(1, 6));
    await Promise.all([follower.until(60), quiet.until(6)]);
    expect(positionsOf(follower)).toEqual(range(1, 60));
    expect(positionsOf(quiet)).toEqual(range(1, 6));
  });

  it('halts when the topic was made anew with another history', async () => {
    await topic().append(0, range(1, 10));
    const follower = followLane(await open(), { lane: 0 });
    await follower.until(10);
    await topic().replace();
    // Less than was read, so that Kafka says so. With as much, it would go on behind what was read.
    await topic().append(0, range(1, 5), 'another');
    await follower.untilHalted();
    await topic().append(0, range(6, 20), 'another');
    const halt = await follower.untilHalted('another_event');
    expect(halt.position).toBe(10);
    expect(positionsOf(follower)).toEqual(range(1, 10));
  });
}

function positionsOf(follower: { readonly taken: readonly { position: number }[] }): number[] {
  return follower.taken.map(({ position }) => position);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
