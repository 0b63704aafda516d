import { fileURLToPath } from 'node:url';
import { chooseAddresses, toSettings } from '../../system/addresses.ts';
import { READY_LINE, run as runProcess, waitUntilReady } from '../../system/service-process.ts';
import type { SystemSettings } from '../../system/system.ts';
import type { BenchmarkRun } from '../benchmark.ts';
import { DEFAULT_LANES } from './measured-system.ts';
import type { MeasuredSystem } from './measured-system.ts';
import { openStorage } from './storage.ts';

const MAIN = fileURLToPath(new URL('../../../services/standalone/src/main.ts', import.meta.url));

/**
 * Starts what `npm start` runs: all services in one process, on a data folder of its own. Its Postgres is
 * started from here, so that data can be prepared in it, and adopted.
 */
export async function openStandalone(
  run: Pick<BenchmarkRun, 'opened' | 'say'>,
  settings: SystemSettings = {},
): Promise<MeasuredSystem> {
  const opened = new AsyncDisposableStack();
  const storage = opened.use(await openStorage(run, 'postgres'));
  run.opened.use(opened);
  const addresses = await chooseAddresses();
  const { BILLHOOK_DATABASE_URL: _, ...storageEnv } = storage.env;
  const env = {
    ...storageEnv,
    BILLHOOK_DATA_DIR: storage.folder,
    ...toSettings(addresses),
    ...settings,
  };
  const log: string[] = [];
  const ready = Promise.withResolvers<void>();
  const started = runProcess(
    MAIN,
    { folder: storage.folder, env, ownSession: true },
    {
      output: (line) => line === READY_LINE && ready.resolve(),
      log(line) {
        log.push(line);
        run.say(line);
      },
    },
  );
  storage.guard.watch(started.pid);
  opened.defer(async () => {
    started.kill('SIGKILL');
    await started.ended;
    storage.guard.forget(started.pid);
  });
  await waitUntilReady(ready.promise, started.ended, log);
  return {
    addresses,
    pool: storage.pool,
    lanes: DEFAULT_LANES,
    processes: () => ({ billhook: [started.pid], ...storage.processes }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
