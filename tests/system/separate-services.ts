import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '@billhook/embedded-postgres';
import { chooseAddresses, inherited, toSettings } from './addresses.ts';
import { READY_LINE, run, waitUntilReady, type Running } from './service-process.ts';
import type { System, SystemSettings } from './system.ts';

/** In the order in which they are started; they stop the other way round. */
const SERVICES = ['subscription', 'invoice', 'dispatcher', 'gateway'] as const;

type Service = (typeof SERVICES)[number];

const SECRET_KEY_BYTES = 32;

/**
 * Makes a system of four processes, one for each service, on a Postgres of its own.
 *
 * @param own settings of single services, such as another way to a service.
 */
export async function createSeparateServices(
  settings: SystemSettings,
  own: Partial<Record<Service, SystemSettings>> = {},
): Promise<System> {
  const folder = await mkdtemp(join(tmpdir(), 'billhook-system-'));
  // Open to other users, because Postgres does not run as root.
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
  const addresses = await chooseAddresses();
  const env = {
    ...inherited(),
    ...settings,
    ...toSettings(addresses),
    BILLHOOK_DATABASE_URL: postgres.connectionString,
    BILLHOOK_SECRET_KEY: randomBytes(SECRET_KEY_BYTES).toString('base64'),
  };
  const output: string[] = [];
  const log: string[] = [];
  let running: Running[] = [];

  async function startService(service: Service): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const main = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
    const started = run(
      main,
      { folder, env: { ...env, ...own[service] } },
      {
        output: (line) => {
          output.push(line);
          if (line === READY_LINE) ready.resolve();
        },
        log: (line) => log.push(line),
      },
    );
    running.push(started);
    await waitUntilReady(ready.promise, started.ended, log);
  }

  /** Returns the first exit code that is not 0, or 0. */
  async function end(signals: readonly NodeJS.Signals[]): Promise<number | undefined> {
    const exitCodes: (number | undefined)[] = [];
    for (const service of running.toReversed()) {
      signals.forEach((signal) => service.kill(signal));
      exitCodes.push(await service.ended);
    }
    running = [];
    return exitCodes.find((exitCode) => exitCode !== 0) ?? exitCodes[0];
  }

  return {
    addresses,
    output,
    log,
    async start() {
      for (const service of SERVICES) await startService(service);
    },
    stop: (...signals) => end(signals),
    async kill() {
      await end(['SIGKILL']);
    },
    async remove() {
      await end(['SIGKILL']);
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
