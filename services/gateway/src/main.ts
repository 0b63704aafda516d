import { startMonitored } from '@billhook/metrics';
import { announce, runProcess } from '@billhook/runtime';
import { readGatewayConfig } from './config.ts';
import { startGatewayService } from './gateway-service.ts';

await runProcess({
  name: 'gateway',
  configure: () => readGatewayConfig(process.env),
  start: async (config, log) => {
    const service = await startMonitored({ address: config.metricsAddress, log }, (monitoring) =>
      startGatewayService(config, { log, monitoring }),
    );
    announce(`${service.name} listening on ${service.address}`);
    announce('Billhook is ready');
    return service;
  },
});
