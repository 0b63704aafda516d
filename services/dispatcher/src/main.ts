import { startMonitored } from '@billhook/metrics';
import { announce, runProcess } from '@billhook/runtime';

import { readDispatcherConfig } from './config.ts';
import { startDispatcherService } from './dispatcher-service.ts';

/** Runs the dispatcher alone. */
await runProcess({
  name: 'dispatcher',
  configure: () => readDispatcherConfig(process.env),
  start: async (config, log) => {
    const service = await startMonitored({ address: config.metricsAddress, log }, (monitoring) =>
      startDispatcherService(config, { log, monitoring }),
    );
    announce(`dispatcher listening on ${service.address}`);
    announce('Billhook is ready');
    return service;
  },
});
