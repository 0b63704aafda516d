/**
 * Runs the system as it is in production, as processes of this machine: several copies of each
 * service, a Kafka broker and Postgres. `npm run cluster [-- --copies N] [--data-dir FOLDER]`.
 */
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { EmbeddedKafkaError } from '@billhook/embedded-kafka';
import { EmbeddedPostgresError } from '@billhook/embedded-postgres';
import { announce, ConfigurationError, readSettings, runProcess } from '@billhook/runtime';
import type { ProcessConfiguration, Stoppable } from '@billhook/runtime';
import type { CopyListener } from './copy.ts';
import { openLocalCluster } from './local-cluster.ts';
import { fixedPlaces, metricsPlaceOf, SERVICES } from './places.ts';
import { READY_LINE } from '../system/service-process.ts';

interface ClusterConfiguration extends ProcessConfiguration {
  /** Of each service. */
  readonly copies: number;
  readonly dataDir: string;
  /** Where the first copy serves its metrics; undefined when none does. */
  readonly firstMetricsPlace: string | undefined;
}

const DEFAULT_COPIES = '2';
const MOST_COPIES = 9;
const DEFAULT_DATA_DIR = '.billhook/cluster';

/** Beside the usual ports, which may belong to servers that run here anyway. */
const POSTGRES_PORT = 15_432;
const BROKER_PORT = 19_092;

/** One service after the other ends, then the broker and Postgres. */
const SHUTDOWN_TIMEOUT_MS = 120_000;

/** What the copies print of their start is said again for all of them. */
const passOn: CopyListener = {
  output(line) {
    if (line !== READY_LINE && !line.includes(' listening on ')) announce(line);
  },
  log: (line) => process.stderr.write(`${line}\n`),
  lost: (name, exitCode) => announce(`${name} has ended with ${exitCode ?? 'a signal'}`),
};

await runProcess({
  name: 'cluster',
  configure: () => readArguments(process.argv.slice(2)),
  start: startCluster,
});

function readArguments(args: readonly string[]): ClusterConfiguration {
  const { copies, dataDir } = parse(args);
  if (!/^[1-9]$/.test(copies)) {
    throw new ConfigurationError(`--copies must be a number from 1 to ${MOST_COPIES}.`);
  }
  return {
    copies: Number(copies),
    dataDir: resolve(dataDir),
    firstMetricsPlace: readSettings(process.env).metricsAddr?.text,
    logLevel: 'warn',
    shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS,
  };
}

function parse(args: readonly string[]): { readonly copies: string; readonly dataDir: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        copies: { type: 'string', default: DEFAULT_COPIES },
        'data-dir': { type: 'string', default: DEFAULT_DATA_DIR },
      },
    });
    return { copies: values.copies, dataDir: values['data-dir'] };
  } catch (cause) {
    throw new ConfigurationError(
      'Usage: npm run cluster -- [--copies NUMBER] [--data-dir FOLDER].',
      { cause },
    );
  }
}

async function startCluster(configuration: ClusterConfiguration): Promise<Stoppable> {
  const { copies, dataDir, firstMetricsPlace } = configuration;
  const places = fixedPlaces({
    subscription: copies,
    invoice: copies,
    dispatcher: copies,
    gateway: copies,
  });
  const taken = SERVICES.flatMap((service) => places[service]);
  const metricsPlaces =
    firstMetricsPlace === undefined
      ? []
      : taken.map((_, index) => metricsPlaceOf(firstMetricsPlace, index));
  for (const place of [...taken, ...metricsPlaces]) await expectFree(place);
  await mkdir(dataDir, { recursive: true });
  const options = {
    folder: dataDir,
    places,
    postgresPort: POSTGRES_PORT,
    brokerPort: BROKER_PORT,
    settings: givenSettings(),
  };
  const local = await explained(openLocalCluster(options, passOn));
  announce(`postgres listening on 127.0.0.1:${POSTGRES_PORT}`);
  announce(`kafka listening on 127.0.0.1:${BROKER_PORT}`);
  try {
    await local.cluster.start();
  } catch (error) {
    await local.stop();
    throw error;
  }
  for (const [index, { name, place }] of local.cluster.copies.entries()) {
    const metricsPlace = metricsPlaces[index];
    const metrics = metricsPlace === undefined ? '' : `, metrics on ${metricsPlace}`;
    announce(`${name} listening on ${place}${metrics}`);
  }
  announce(READY_LINE);
  return {
    async stop() {
      const exitCode = await local.stop();
      if (exitCode !== 0) throw new Error(`a copy ended with ${exitCode}`);
    },
  };
}

/** All but where they listen and what they stand on is theirs to say who starts the cluster. */
function givenSettings(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith('BILLHOOK_') && value !== undefined ? [[name, value]] : [],
    ),
  );
}

/** Somebody else's port is found out before anything is started or touched. */
async function expectFree(place: string): Promise<void> {
  const [host, port] = place.split(':');
  const server = createServer().listen(Number(port), host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ConfigurationError(
      `Nothing can listen on ${place}: end what does, perhaps another cluster.`,
      { cause },
    );
  }
  await once(server.close(), 'close');
}

/** What this machine lacks is said in one sentence. */
async function explained<Result>(opening: Promise<Result>): Promise<Result> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof EmbeddedKafkaError || error instanceof EmbeddedPostgresError) {
      throw new ConfigurationError(error.message, { cause: error });
    }
    throw error;
  }
}
