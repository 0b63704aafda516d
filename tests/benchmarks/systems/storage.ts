import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKafkaBroker } from '@billhook/embedded-kafka';
import { createPool } from '@billhook/postgres';
import type { Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { startGuard } from '../../cluster/guard.ts';
import type { Guard } from '../../cluster/guard.ts';
import { createPostgresServer } from '../../cluster/postgres-server.ts';
import { inherited } from '../../system/addresses.ts';
import { findFreePorts } from '../../system/free-ports.ts';
import type { BenchmarkRun } from '../benchmark.ts';
import type { ProcessGroups } from '../measuring/cost.ts';

/** Which log the dispatcher reads. */
export type EventLogKind = 'postgres' | 'kafka';

/** A durable Postgres, and a broker if one is wanted, that nobody else uses. */
export interface Storage extends AsyncDisposable {
  /** Open to other users, because Postgres does not run as root. */
  readonly folder: string;
  readonly databaseUrl: string;
  /** To prepare data and to look at what is recorded. */
  readonly pool: Pool;
  readonly processes: ProcessGroups;
  /** What services need to run on it. */
  readonly env: NodeJS.ProcessEnv;
  /** Ends processes with this one, however this one ends. */
  readonly guard: Guard;
}

const SECRET_KEY_BYTES = 32;
const CONNECTIONS = 3;

/** Starts the storage. It ends with the run, or before it when it is disposed of. */
export async function openStorage(
  run: Pick<BenchmarkRun, 'opened'>,
  log: EventLogKind,
): Promise<Storage> {
  const opened = new AsyncDisposableStack();
  run.opened.use(opened);
  const folder = await mkdtemp(join(tmpdir(), 'billhook-bench-'));
  opened.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  await chmod(folder, 0o755);
  const guard = startGuard(join(folder, 'postgres'));
  opened.defer(() => guard.close());
  const [port = 0] = await findFreePorts(1);
  const postgres = createPostgresServer({ folder: join(folder, 'postgres'), port });
  await startAndStop(opened, postgres);
  const pool = createPool({
    connectionString: postgres.connectionString,
    applicationName: 'billhook-benchmark',
    maxConnections: CONNECTIONS,
    log: createLog({ level: 'silent', service: 'benchmark' }),
  });
  opened.defer(() => pool.end());
  const broker = log === 'kafka' ? await openBroker(folder, opened) : undefined;
  return {
    folder,
    databaseUrl: postgres.connectionString,
    pool,
    guard,
    processes: {
      postgres: [postgres.pid ?? 0],
      ...(broker === undefined ? {} : { kafka: [broker.pid ?? 0] }),
    },
    env: {
      ...inherited(),
      BILLHOOK_LOG_LEVEL: 'error',
      BILLHOOK_DATABASE_URL: postgres.connectionString,
      BILLHOOK_SECRET_KEY: randomBytes(SECRET_KEY_BYTES).toString('base64'),
      ...(broker === undefined ? {} : { BILLHOOK_KAFKA_BROKERS: broker.brokers }),
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** It ends with this process, where the system can tie one to the other. */
async function openBroker(folder: string, opened: AsyncDisposableStack) {
  const broker = await createKafkaBroker({ folder: join(folder, 'kafka') });
  await startAndStop(opened, broker);
  return broker;
}

/** Starts a server, and has it stopped; if the run ends meanwhile, when it has started. */
async function startAndStop(
  opened: AsyncDisposableStack,
  server: { start(): Promise<void>; stop(): Promise<void> },
): Promise<void> {
  const starting = server.start();
  opened.defer(async () => {
    await starting.catch(() => undefined);
    await server.stop();
  });
  await starting;
}
