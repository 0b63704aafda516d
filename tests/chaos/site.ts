import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createPool } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { openLocalCluster } from '../cluster/local-cluster.ts';
import type { LocalCluster } from '../cluster/local-cluster.ts';
import { chooseFreePlaces } from '../cluster/places.ts';
import type { Copies } from '../cluster/places.ts';
import { startEndpoints } from '../kills/endpoints.ts';
import type { Endpoints } from '../kills/endpoints.ts';
import { connect } from '../system/connection.ts';
import type { Connection } from '../system/connection.ts';
import { findFreePorts } from '../system/free-ports.ts';

/** A cluster to which faults can happen, with endpoints of all kinds registered for every event. */
export interface Site extends AsyncDisposable {
  readonly local: LocalCluster;
  readonly billhook: Connection;
  readonly endpoints: Endpoints;
  /** To look into Postgres. */
  readonly pool: Pool;
  /** Copies that ended although nobody ended them. */
  readonly lost: readonly string[];
}

/** How many copies run at the start. There is a place for one more of each. */
export const COPIES: Copies = { subscription: 2, invoice: 2, dispatcher: 3, gateway: 2 };

export const LANES = 16;

/**
 * Failing endpoints are tried again soon, and for longer than a run takes. The deadline is far beyond
 * what a slow endpoint takes on a busy machine: one that accepts after it is sent the same again.
 */
const SETTINGS = {
  BILLHOOK_LANES: String(LANES),
  BILLHOOK_RETRY_SCHEDULE: ['100ms', '200ms', '500ms', ...Array<string>(90).fill('2s')].join(','),
  BILLHOOK_DELIVERY_TIMEOUT: '10s',
};

const BEHAVIOURS = ['healthy', 'healthy', 'failing', 'resetting', 'slow', 'erratic'] as const;

/**
 * Starts it. The log of all copies is `services.log` in the folder.
 *
 * @param folder other users must be able to enter it.
 */
export async function openSite(folder: string): Promise<Site> {
  await using cleanUp = new AsyncDisposableStack();
  const endpoints = await startEndpoints(BEHAVIOURS);
  cleanUp.defer(() => endpoints.close());
  const lost: string[] = [];
  const local = await openCluster(folder, { lost, cleanUp });
  const { cluster, postgres } = local;
  await cluster.start(
    cluster.copies.filter((copy) => {
      return cluster.copiesOf(copy.service).indexOf(copy) < COPIES[copy.service];
    }),
  );
  const billhook = connect(cluster.addresses);
  cleanUp.defer(() => billhook.close());
  for (const url of endpoints.urls) await billhook.rest.register('*', url);
  const pool = createPool({
    connectionString: postgres.connectionString,
    applicationName: 'billhook-chaos',
    maxConnections: 2,
    log: createLog({ level: 'silent', service: 'chaos' }),
  });
  cleanUp.defer(() => pool.end());
  const opened = cleanUp.move();
  const close = () => opened.disposeAsync();
  return { local, billhook, endpoints, pool, lost, [Symbol.asyncDispose]: close };
}

async function openCluster(
  folder: string,
  { lost, cleanUp }: { readonly lost: string[]; readonly cleanUp: AsyncDisposableStack },
): Promise<LocalCluster> {
  const log = createWriteStream(join(folder, 'services.log'));
  cleanUp.defer(async () => {
    log.end();
    await once(log, 'close');
  });
  const [postgresPort = 0, brokerPort = 0] = await findFreePorts(2);
  const places = await chooseFreePlaces({
    subscription: COPIES.subscription + 1,
    invoice: COPIES.invoice + 1,
    dispatcher: COPIES.dispatcher + 1,
    gateway: COPIES.gateway + 1,
  });
  const local = await openLocalCluster(
    { folder, places, postgresPort, brokerPort, settings: SETTINGS },
    {
      output: () => undefined,
      log: (line) => log.write(`${line}\n`),
      lost: (name, exitCode) => {
        lost.push(`${name} at ${new Date().toISOString()} with ${exitCode ?? 'a signal'}`);
      },
    },
  );
  cleanUp.defer(() => local.kill());
  return local;
}
