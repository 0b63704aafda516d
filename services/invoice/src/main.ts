import { startMonitored } from '@billhook/metrics';
import { announce, runProcess } from '@billhook/runtime';
import { readInvoiceConfig } from './config.ts';
import { startInvoiceService } from './invoice-service.ts';

/** Runs the invoice service alone. */
await runProcess({
  name: 'invoice',
  configure: () => readInvoiceConfig(process.env),
  start: async (config, log) => {
    const service = await startMonitored({ address: config.metricsAddress, log }, (monitoring) =>
      startInvoiceService(config, { log, monitoring }),
    );
    announce(`invoice listening on ${service.address}`);
    announce('Billhook is ready');
    return service;
  },
});
