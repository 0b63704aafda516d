import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKafkaBroker } from '@billhook/embedded-kafka';
import { inherited } from '../system/addresses.ts';
import type { SystemSettings } from '../system/system.ts';
import { createBrokerVictim } from './broker.ts';
import { createCluster } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import type { CopyListener, Victim } from './copy.ts';
import { startGuard } from './guard.ts';
import type { Places } from './places.ts';
import { createPostgresServer } from './postgres-server.ts';
import type { PostgresServer } from './postgres-server.ts';
import type { TopicPlace } from './topic.ts';

/** A cluster with a broker and a Postgres of its own, all of them processes of this machine. */
export interface LocalCluster {
  readonly cluster: Cluster;
  readonly postgres: PostgresServer;
  readonly broker: Victim;
  readonly topic: TopicPlace;
  /** Ends the copies, then the broker and Postgres. Returns the exit code of the copies. */
  stop(): Promise<number | undefined>;
  /** Ends the copies at once, then the broker and Postgres. */
  kill(): Promise<void>;
}

export interface LocalClusterOptions {
  /** Keeps what is stored from one run to the next. Other users must be able to enter it. */
  readonly folder: string;
  readonly places: Places;
  readonly postgresPort: number;
  readonly brokerPort: number;
  readonly settings: SystemSettings;
}

const TOPIC = 'billhook.invoice.events.v1';
const SECRET_KEY_BYTES = 32;
const OWNER_ONLY_FILE = 0o600;

/**
 * Starts Postgres and a broker, and makes a cluster on them whose copies are not started yet. If this
 * process is killed, all of them end with it.
 *
 * @throws EmbeddedKafkaError or EmbeddedPostgresError that says in a sentence what is missing here.
 */
export async function openLocalCluster(
  options: LocalClusterOptions,
  listener: CopyListener,
): Promise<LocalCluster> {
  const { folder, places, settings } = options;
  await using cleanUp = new AsyncDisposableStack();
  const guard = startGuard(join(folder, 'postgres'));
  cleanUp.defer(() => guard.close());
  const guarded = { started: guard.watch, ended: guard.forget };
  const kafka = await createKafkaBroker({
    folder: join(folder, 'kafka'),
    port: options.brokerPort,
  });
  const broker = createBrokerVictim(kafka, guarded);
  const postgres = createPostgresServer({
    folder: join(folder, 'postgres'),
    port: options.postgresPort,
  });
  cleanUp.defer(() => postgres.stop());
  cleanUp.defer(() => kafka.stop());
  await Promise.all([postgres.start(), broker.start()]);

  const env = {
    ...inherited(),
    ...settings,
    BILLHOOK_SECRET_KEY: await keepSecretKey(join(folder, 'secret-key')),
    BILLHOOK_KAFKA_BROKERS: kafka.brokers,
    BILLHOOK_KAFKA_TOPIC: TOPIC,
  };
  const cluster = createCluster(
    { folder, places, env, databaseUrl: postgres.connectionString },
    { ...listener, ...guarded },
  );
  const opened = cleanUp.move();
  return {
    cluster,
    postgres,
    broker,
    topic: { brokers: [kafka.brokers], topic: TOPIC },
    async stop() {
      const exitCode = await cluster.stop('SIGTERM');
      await opened.disposeAsync();
      return exitCode;
    },
    async kill() {
      await cluster.kill();
      await opened.disposeAsync();
    },
  };
}

/** The key of the endpoints' secrets stays with what it encrypts. */
async function keepSecretKey(file: string): Promise<string> {
  const key = randomBytes(SECRET_KEY_BYTES).toString('base64');
  try {
    await writeFile(file, key, { flag: 'wx', mode: OWNER_ONLY_FILE });
    return key;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return await readFile(file, 'utf8');
  }
}
