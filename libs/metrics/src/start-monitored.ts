import type { Address, Log, Stoppable } from '@billhook/runtime';
import { createMonitoring, type Monitoring } from './monitoring.ts';
import { startMonitoringServer } from './server.ts';

/**
 * Starts what a process runs, and shows how it does if an address is configured: from before its start
 * until after its stop. It is not ready before it has started, nor from its stop on.
 *
 * @returns what was started, with a `stop` that ends both.
 * @throws ConfigurationError when it cannot listen on the address, and what `start` throws.
 */
export async function startMonitored<Service extends Stoppable>(
  { address, log }: { readonly address: Address | undefined; readonly log: Log },
  start: (monitoring: Monitoring) => Promise<Service>,
): Promise<Service> {
  const monitoring = createMonitoring();
  let problem: string | undefined = 'it is starting';
  monitoring.addCheck(() => problem);
  monitoring.addGauge(
    { name: 'billhook_ready', help: '1 while /readyz answers 200, else 0.' },
    async () => ((await monitoring.problems()).length === 0 ? 1 : 0),
  );
  await using cleanup = new AsyncDisposableStack();
  if (address !== undefined) {
    const server = await startMonitoringServer(monitoring, { address, log });
    cleanup.defer(() => server.stop());
  }
  const service = await start(monitoring);
  problem = undefined;
  const opened = cleanup.move();
  return {
    ...service,
    async stop() {
      problem = 'it is stopping';
      try {
        await service.stop();
      } finally {
        await opened.disposeAsync();
      }
    },
  };
}
