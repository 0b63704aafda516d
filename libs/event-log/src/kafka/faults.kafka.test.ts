import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaBroker } from '@billhook/embedded-kafka';
import { createLog } from '@billhook/runtime';
import { describeKafka, describeOwnKafka, uniqueName } from '@billhook/testing';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import type { EventLogReader } from '../event-log.ts';
import { openKafkaEventLog } from './kafka-event-log.ts';
import type { KafkaEventLogOptions } from './kafka-event-log.ts';
import { startKafkaProxy } from './kafka-proxy.fixture.ts';
import { followLane } from './lane-follower.fixture.ts';
import { leaveGroup } from './leave-group.fixture.ts';
import { makeTopic } from './test-topic.fixture.ts';
import type { TestTopic } from './test-topic.fixture.ts';

const lanes = 3;
const log = createLog({ level: 'silent', service: 'test' });
const POLL_MS = 20;

describeKafka('a reader of Kafka, when things break', (brokers) => {
  let topic: TestTopic;

  beforeEach(async () => {
    topic = await makeTopic({ log }, { brokers, partitions: lanes });
    return () => topic.close();
  });

  const openAt = async (options: Partial<KafkaEventLogOptions>): Promise<EventLogReader> => {
    const clientId = uniqueName('reader');
    const reader = await openKafkaEventLog(
      { log },
      { brokers, clientId, topic: topic.name, lanes, ...options },
    );
    onTestFinished(() => reader.close());
    return reader;
  };

  const startProxy = async () => {
    const proxy = await startKafkaProxy(brokers[0] ?? '');
    onTestFinished(() => proxy.close());
    return proxy;
  };

  it('replaces a consumer that KafkaJS gave up', async () => {
    const proxy = await startProxy();
    const warn = vi.spyOn(log, 'warn');
    onTestFinished(() => warn.mockRestore());
    await topic.append(0, range(1, 5));
    const follower = followLane(await openAt({ brokers: [proxy.brokers] }), { lane: 0 });
    await follower.until(5);
    proxy.spoilFetch();
    await topic.append(0, range(6, 10));
    await follower.until(10);
    expect(positionsOf(follower)).toEqual(range(1, 10));
    expect(warn).toHaveBeenCalledWith(expect.anything(), 'Kafka cannot be read');
  });

  it('replaces a consumer that stands still though there is more', async () => {
    const proxy = await startProxy();
    const warn = vi.spyOn(log, 'warn');
    onTestFinished(() => warn.mockRestore());
    await topic.append(0, range(1, 5));
    const reader = await openAt({ brokers: [proxy.brokers], watchEveryMs: 200 });
    const follower = followLane(reader, { lane: 0 });
    await follower.until(5);
    proxy.muteFetches();
    await topic.append(0, range(6, 10));
    await follower.until(10);
    expect(positionsOf(follower)).toEqual(range(1, 10));
    expect(warn).toHaveBeenCalledWith(
      expect.objectContaining({ err: expect.objectContaining({ message: STUCK }) }),
      'Kafka cannot be read',
    );
  });

  it('notices that the topic was made anew while it was cut off', async () => {
    const proxy = await startProxy();
    await topic.append(0, range(1, 50));
    const reader = await openAt({ brokers: [proxy.brokers], watchEveryMs: 200 });
    const follower = followLane(reader, { lane: 0 });
    await follower.until(50);
    proxy.cut();
    await topic.replace();
    proxy.mend();
    expect(await follower.untilHalted()).toMatchObject({ reason: 'lost_tail', position: 50 });
    await topic.append(0, range(1, 60));
    await follower.until(60);
    expect(positionsOf(follower)).toEqual(range(1, 60));
  });

  it('goes on when its group was deleted', async () => {
    const clientId = uniqueName('reader');
    await topic.append(0, range(1, 5));
    const follower = followLane(await openAt({ clientId }), { lane: 0 });
    await follower.until(5);
    const { groups } = await topic.admin.listGroups();
    const groupId = groups.find((group) => group.groupId.startsWith(clientId))?.groupId ?? '';
    const memberOf = async (): Promise<string | undefined> => {
      const described = await topic.admin.describeGroups([groupId]);
      return described.groups[0]?.members[0]?.memberId;
    };
    const memberId = (await memberOf()) ?? '';
    await leaveGroup(brokers[0] ?? '', { groupId, memberId });
    await topic.admin.deleteGroups([groupId]);
    await topic.append(0, range(6, 10));
    await follower.until(10);
    while (((await memberOf()) ?? memberId) === memberId) await sleep(POLL_MS);
    await topic.append(0, range(11, 15));
    await follower.until(15);
    expect(positionsOf(follower)).toEqual(range(1, 15));
  });

  it('closes soon and leaves nothing behind, whether or not a broker is there', async () => {
    const proxy = await startProxy();
    await topic.append(0, range(1, 5));
    const before = process.getActiveResourcesInfo().length;
    for (const isAway of [false, true, false]) {
      const reader = await openAt({ brokers: [proxy.brokers] });
      const follower = followLane(reader, { lane: 0 });
      await follower.until(5);
      if (isAway) proxy.cut();
      if (isAway) await sleep(100);
      await reader.close();
      while (proxy.connections() > 0) await sleep(POLL_MS);
      proxy.mend();
    }
    proxy.cut();
    const unreachable = await openAt({ brokers: [proxy.brokers] });
    await followLane(unreachable, { lane: 0 }).once();
    await sleep(100);
    await unreachable.close();
    // What KafkaJS repeats ends at its next attempt.
    while (process.getActiveResourcesInfo().length > before) await sleep(POLL_MS);
  });
});

const STUCK = 'Partition 0 has more, and nothing of it comes.';

describeOwnKafka('a broker that is killed', () => {
  it(
    'costs a reader no event and no order, though all is under load',
    { timeout: 120_000 },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'billhook-killed-kafka-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const broker = await createKafkaBroker({ folder });
      await broker.start();
      onTestFinished(() => broker.stop());
      const brokers = [broker.brokers];
      const topic = await makeTopic({ log }, { brokers, partitions: lanes });
      onTestFinished(() => topic.close());
      const clientId = uniqueName('reader');
      const reader = await openKafkaEventLog(
        { log },
        { brokers, clientId, topic: topic.name, lanes },
      );
      onTestFinished(() => reader.close());

      const stopping = new AbortController();
      const appended = Array.from({ length: lanes }, () => 0);
      const appending = appended.map(async (_, lane) => {
        while (!stopping.signal.aborted) {
          const last = appended[lane] ?? 0;
          await topic.append(lane, range(last + 1, last + 10));
          appended[lane] = last + 10;
        }
      });
      const followers = appended.map((_, lane) => followLane(reader, { lane }));
      for (let time = 1; time <= 3; time += 1) {
        const counts = followers.map(({ taken }) => taken.length);
        await broker.kill();
        await broker.start();
        await Promise.all(
          followers.map((follower, lane) => follower.until((counts[lane] ?? 0) + 50)),
        );
      }
      stopping.abort();
      await Promise.all(appending);
      await Promise.all(followers.map((follower, lane) => follower.until(appended[lane] ?? 0)));
      for (const follower of followers) {
        expect(positionsOf(follower)).toEqual(range(1, follower.taken.length));
      }
    },
  );
});

function positionsOf(follower: { readonly taken: readonly { position: number }[] }): number[] {
  return follower.taken.map(({ position }) => position);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
