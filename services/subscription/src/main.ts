import { startMonitored } from '@billhook/metrics';
import { announce, runProcess } from '@billhook/runtime';
import { readSubscriptionConfig } from './config.ts';
import { startSubscriptionService } from './subscription-service.ts';

/** Runs the subscription service alone. */
await runProcess({
  name: 'subscription',
  configure: () => readSubscriptionConfig(process.env),
  start: async (config, log) => {
    const service = await startMonitored({ address: config.metricsAddress, log }, (monitoring) =>
      startSubscriptionService(config, { log, monitoring }),
    );
    announce(`subscription listening on ${service.address}`);
    announce('Billhook is ready');
    return service;
  },
});
