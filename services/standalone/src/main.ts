import { startMonitored } from '@billhook/metrics';
import { announce, runProcess } from '@billhook/runtime';
import { readStandaloneConfig } from './config.ts';
import { startServices } from './services.ts';
import { openStorage } from './storage.ts';

/** Runs all services in one process: what `npm start` does. */
await runProcess({
  name: 'billhook',
  configure: () => readStandaloneConfig(process.env),
  start: async (config, log) => {
    await using opened = new AsyncDisposableStack();
    const storage = await openStorage(config, log);
    opened.defer(() => storage.stop());
    const { settings } = config;
    const running = await startMonitored({ address: settings.metricsAddr, log }, (monitoring) =>
      startServices(settings, storage, { log, monitoring }),
    );
    opened.defer(() => running.stop());
    for (const { name, address } of running.services) {
      announce(`${name} listening on ${address}`);
    }
    announce('Billhook is ready');
    const everything = opened.move();
    return { stop: () => everything.disposeAsync() };
  },
});
