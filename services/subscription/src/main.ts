import { announce, runProcess } from '@billhook/runtime';
import { readSubscriptionConfig } from './config.ts';
import { startSubscriptionService } from './subscription-service.ts';

/** Runs the subscription service alone. */
await runProcess({
  name: 'subscription',
  configure: () => readSubscriptionConfig(process.env),
  start: async (config, log) => {
    const service = await startSubscriptionService(config, { log });
    announce(`subscription listening on ${service.address}`);
    announce('Billhook is ready');
    return service;
  },
});
