import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase, uniqueName } from '@billhook/testing';
import { inject } from 'vitest';
import { createCluster } from '../cluster/cluster.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { chooseFreePlaces } from '../cluster/places.ts';
import type { Copies } from '../cluster/places.ts';
import { deleteTopic } from '../cluster/topic.ts';
import { inherited } from './addresses.ts';
import type { System, SystemSettings } from './system.ts';

/** A system of several copies of each service, which are processes of their own. */
export interface ClusterSystem extends System, Pick<Cluster, 'copies' | 'copiesOf'> {}

const TWO_OF_EACH: Copies = { subscription: 2, invoice: 2, dispatcher: 2, gateway: 2 };
const SECRET_KEY_BYTES = 32;

/**
 * Makes a cluster on a database and a topic of its own, on the Postgres and the Kafka of this test
 * run. It is not started yet.
 */
export async function createClusterSystem(
  settings: SystemSettings,
  copies: Partial<Copies> = {},
): Promise<ClusterSystem> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-system-'));
  const database = await createTestDatabase();
  const brokers = inject('kafkaBrokers') ?? '';
  const topic = uniqueName('billhook.invoice.events');
  const output: string[] = [];
  const log: string[] = [];
  const cluster = createCluster(
    {
      folder,
      places: await chooseFreePlaces({ ...TWO_OF_EACH, ...copies }),
      databaseUrl: database.connectionString,
      env: {
        ...inherited(),
        ...settings,
        BILLHOOK_SECRET_KEY: randomBytes(SECRET_KEY_BYTES).toString('base64'),
        BILLHOOK_KAFKA_BROKERS: brokers,
        BILLHOOK_KAFKA_TOPIC: topic,
      },
    },
    { output: (line) => output.push(line), log: (line) => log.push(line) },
  );
  return {
    addresses: cluster.addresses,
    copies: cluster.copies,
    copiesOf: (service) => cluster.copiesOf(service),
    output,
    log,
    start: () => cluster.start(),
    stop: (...signals) => cluster.stop(...signals),
    kill: () => cluster.kill(),
    async remove() {
      await cluster.kill();
      await database.drop();
      await deleteTopic({ brokers: brokers.split(','), topic });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
