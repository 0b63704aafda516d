import { setTimeout as sleep } from 'node:timers/promises';
import type { Addresses } from '../system/system.ts';
import { createCopy } from './copy.ts';
import type { Copy, CopyListener } from './copy.ts';
import { metricsPlaceOf, SERVICES, settingsAt, toAddresses } from './places.ts';
import type { Places, Service } from './places.ts';

/** Copies of the four services as processes of this machine, on a Postgres and a Kafka they share. */
export interface Cluster {
  /** What clients dial: the places of all copies, also of those that do not run. */
  readonly addresses: Addresses;
  /** Every copy, running or not. */
  readonly copies: readonly Copy[];
  copiesOf(service: Service): readonly Copy[];
  /** Starts these copies, or all of them, at the same time, and waits until the gateways serve. */
  start(copies?: readonly Copy[]): Promise<void>;
  /**
   * Sends the signals to all copies that run, from the outside in, and waits for the end. Returns the
   * first exit code that is not 0, or 0.
   */
  stop(...signals: readonly NodeJS.Signals[]): Promise<number | undefined>;
  /** Ends all copies at once (SIGKILL). */
  kill(): Promise<void>;
}

export interface ClusterOptions {
  /** Where the processes run. */
  readonly folder: string;
  readonly places: Places;
  /** The settings that all copies have in common. */
  readonly env: NodeJS.ProcessEnv;
  readonly databaseUrl: string;
}

const SERVING_TIMEOUT_MS = 30_000;
const POLL_MS = 20;

/** Makes a cluster of processes. They are not started yet. */
export function createCluster(options: ClusterOptions, listener: CopyListener): Cluster {
  const { folder, places, env, databaseUrl } = options;
  const create = ({ name, service, place }: Seat, index: number): Copy => {
    const settings = {
      ...env,
      ...settingsAt(places, service, place),
      ...metricsSettings(env, index),
      BILLHOOK_DATABASE_URL: withApplicationName(databaseUrl, name),
    };
    return createCopy({ name, service, place, folder, env: settings }, listener);
  };
  const copies = seatsOf(places).map(create);
  const copiesOf = (service: Service) => copies.filter((copy) => copy.service === service);

  return {
    addresses: toAddresses(places),
    copies,
    copiesOf,
    async start(wanted = copies) {
      await Promise.all(wanted.map((copy) => copy.start()));
      const gateways = wanted.filter(({ service }) => service === 'gateway');
      await Promise.all(gateways.map(waitUntilServing));
    },
    async stop(...signals) {
      const exitCodes: (number | undefined)[] = [];
      for (const service of SERVICES.toReversed()) {
        const running = copiesOf(service).filter(({ pid }) => pid !== undefined);
        exitCodes.push(...(await Promise.all(running.map((copy) => copy.stop(...signals)))));
      }
      return exitCodes.find((exitCode) => exitCode !== 0) ?? exitCodes[0];
    },
    async kill() {
      await Promise.all(copies.map((copy) => copy.kill()));
    },
  };
}

interface Seat extends Pick<Copy, 'name' | 'service' | 'place'> {}

function seatsOf(places: Places): readonly Seat[] {
  return SERVICES.flatMap((service) =>
    places[service].map((place, index) => ({ name: `${service}-${index + 1}`, service, place })),
  );
}

/** Two copies cannot serve their metrics at one place. */
function metricsSettings(env: NodeJS.ProcessEnv, index: number): NodeJS.ProcessEnv {
  const first = env['BILLHOOK_METRICS_ADDR'];
  return first ? { BILLHOOK_METRICS_ADDR: metricsPlaceOf(first, index) } : {};
}

/** Shown in `pg_stat_activity`: so it can be seen which copy a session belongs to. */
function withApplicationName(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('application_name', name);
  return url.href;
}

/** A gateway listens before it has found the services behind it. */
async function waitUntilServing({ name, place }: Copy): Promise<void> {
  const giveUpAtMs = performance.now() + SERVING_TIMEOUT_MS;
  while (!(await isServing(place))) {
    if (performance.now() > giveUpAtMs) throw new Error(`${name} does not serve`);
    await sleep(POLL_MS);
  }
}

async function isServing(place: string): Promise<boolean> {
  try {
    return (await fetch(`http://${place}/readyz`)).status === 200;
  } catch {
    return false;
  }
}
