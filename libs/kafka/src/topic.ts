import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError } from '@billhook/runtime';
import type { Log } from '@billhook/runtime';
import kafkajs from 'kafkajs';
import type { Admin, Kafka } from 'kafkajs';
import { RETRY } from './client.ts';

/** The topic that carries the lanes: partition L is lane L. */
export interface TopicOptions {
  readonly topic: string;
  readonly partitions: number;
  /** The least that `max.message.bytes` must allow. */
  readonly maxMessageBytes: number;
}

/** Where a partition begins and ends: the first offset it holds, and the next one it will give. */
export interface PartitionEnds {
  readonly low: number;
  readonly high: number;
}

/** The kinds of things that have settings in Kafka. */
export const { ConfigResourceTypes } = kafkajs;

const ADMIN_RETRIES = 2;
const POLL_MS = 100;
const LEADERS_TIMEOUT_MS = 20_000;

/** The broker's own choice. */
const BROKER_DEFAULT = -1;

const SAFE_REPLICAS = 3;
const SAFE_IN_SYNC_REPLICAS = 2;

/** Settings without which the topic would not be a full copy of history. */
const REQUIRED = [
  ['cleanup.policy', 'delete'],
  ['retention.ms', '-1'],
  ['retention.bytes', '-1'],
] as const;

/** An admin client that gives up soon: whoever asks tries again, and can say that no broker answers. */
export function createAdmin(kafka: Kafka): Admin {
  return kafka.admin({ retry: { ...RETRY, retries: ADMIN_RETRIES } });
}

/** Keeps the topic as it must be. */
export interface TopicKeeper {
  /**
   * Makes the topic if it is missing, and checks the one that is there. Several processes may do so at
   * once.
   *
   * @param admin is connected.
   * @throws ConfigurationError with one sentence when the topic cannot carry the lanes as it is.
   */
  prepare(admin: Admin, signal: AbortSignal): Promise<void>;
}

/** Makes the keeper; what it warns of is said again only when it has changed. */
export function createTopicKeeper(
  { log }: { readonly log: Log },
  options: TopicOptions,
): TopicKeeper {
  const { topic } = options;
  let warnedOf: string | undefined;

  function judgeReplication(replicas: number, minInSyncReplicas: number): void {
    const isSafe = replicas >= SAFE_REPLICAS && minInSyncReplicas >= SAFE_IN_SYNC_REPLICAS;
    const found = isSafe ? undefined : `${replicas} ${minInSyncReplicas}`;
    if (found !== undefined && found !== warnedOf) {
      log.warn(
        { topic, replicas, minInSyncReplicas },
        'the topic may lose events with a broker: ' +
          `${SAFE_REPLICAS} replicas with min.insync.replicas=${SAFE_IN_SYNC_REPLICAS} would not`,
      );
    }
    warnedOf = found;
  }

  return {
    async prepare(admin, signal) {
      if (!(await admin.listTopics()).includes(topic)) {
        await createTopic(admin, options);
        log.info({ topic, partitions: options.partitions }, 'the topic was missing and is made');
      }
      const partitions = await waitForLeaders(admin, topic, signal);
      if (partitions.length !== options.partitions) {
        throw new ConfigurationError(
          `The topic ${topic} has ${partitions.length} partitions, but there are ` +
            `${options.partitions} lanes (BILLHOOK_LANES): name another topic in ` +
            'BILLHOOK_KAFKA_TOPIC, which is made as it must be.',
        );
      }
      const settings = await readSettingsOf(admin, topic);
      checkSettings(settings, options);
      const replicas = Math.min(...partitions.map((each) => each.replicas.length));
      judgeReplication(replicas, Number(settings.get('min.insync.replicas') ?? 1));
    },
  };
}

async function createTopic(admin: Admin, options: TopicOptions): Promise<void> {
  const { topic, partitions, maxMessageBytes } = options;
  const configEntries = [
    ...REQUIRED.map(([name, value]) => ({ name, value })),
    { name: 'max.message.bytes', value: String(maxMessageBytes) },
  ];
  // `waitForLeaders` may reject just after a broker has started. False: another one was faster.
  await admin.createTopics({
    waitForLeaders: false,
    topics: [
      { topic, numPartitions: partitions, replicationFactor: BROKER_DEFAULT, configEntries },
    ],
  });
}

interface PartitionState {
  readonly partitionId: number;
  readonly leader: number;
  readonly replicas: readonly number[];
}

async function waitForLeaders(
  admin: Admin,
  topic: string,
  signal: AbortSignal,
): Promise<readonly PartitionState[]> {
  const giveUpAtMs = performance.now() + LEADERS_TIMEOUT_MS;
  for (;;) {
    const partitions = await partitionsOf(admin, topic);
    if (partitions.length > 0 && partitions.every(({ leader }) => leader >= 0)) return partitions;
    if (performance.now() > giveUpAtMs) throw new Error(`The topic ${topic} has no leaders yet.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function partitionsOf(admin: Admin, topic: string): Promise<readonly PartitionState[]> {
  // Asking for a topic that is missing is retried for ever; listing all of them is not.
  if (!(await admin.listTopics()).includes(topic)) return [];
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]?.partitions ?? [];
}

async function readSettingsOf(admin: Admin, topic: string): Promise<Map<string, string>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
  });
  const entries = resources[0]?.configEntries ?? [];
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
}

function checkSettings(settings: ReadonlyMap<string, string>, options: TopicOptions): void {
  const { topic, maxMessageBytes } = options;
  for (const [name, value] of REQUIRED) {
    const found = settings.get(name);
    if (found === value) continue;
    throw new ConfigurationError(
      `The topic ${topic} has ${name}=${found}, and would not keep all events: ` +
        `set ${name}=${value} on it.`,
    );
  }
  const found = Number(settings.get('max.message.bytes'));
  if (found >= maxMessageBytes) return;
  throw new ConfigurationError(
    `The topic ${topic} has max.message.bytes=${found}, and would refuse batches of events: ` +
      `set max.message.bytes=${maxMessageBytes} on it, or more.`,
  );
}

/** Reads which broker leads each partition of a topic that is there. */
export async function readLeaders(admin: Admin, topic: string): Promise<number[]> {
  const leaders: number[] = [];
  for (const { partitionId, leader } of await partitionsOf(admin, topic)) {
    leaders[partitionId] = leader;
  }
  return leaders;
}

/**
 * Reads where all partitions begin and end.
 *
 * @returns undefined when the topic is missing.
 */
export async function readEnds(admin: Admin, topic: string): Promise<PartitionEnds[] | undefined> {
  if (!(await admin.listTopics()).includes(topic)) return undefined;
  const ends: PartitionEnds[] = [];
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    ends[partition] = { low: Number(low), high: Number(high) };
  }
  return ends;
}
