import { dispatcherConfig, startDispatcherService } from '@billhook/dispatcher';
import { startGatewayService, toGatewayConfig } from '@billhook/gateway';
import { invoiceConfig, startInvoiceService } from '@billhook/invoice';
import { startSubscriptionService, subscriptionConfig } from '@billhook/subscription';
import type { Log, RunningService, Settings, Stoppable } from '@billhook/runtime';
import type { OpenStorage } from './storage.ts';

export interface RunningServices extends Stoppable {
  /** In the order in which they were started. */
  readonly services: readonly RunningService[];
}

/**
 * Starts the four services, which talk to each other over gRPC as they do in processes of their own.
 * Each starts after those that it needs. They stop from the outside in: nobody asks a service that
 * is gone.
 *
 * @throws ConfigurationError when one cannot listen on its address.
 */
export async function startServices(
  settings: Settings,
  storage: OpenStorage,
  log: Log,
): Promise<RunningServices> {
  const { databaseUrl, secretKeys } = storage;
  const ownership = storage.exclusive ? 'sole' : 'shared';
  const logOf = (service: string) => log.child({ service });
  await using started = new AsyncDisposableStack();

  const subscription = await startSubscriptionService(
    subscriptionConfig(settings, { databaseUrl, secretKeys }),
    { log: logOf('subscription') },
  );
  started.defer(() => subscription.stop());
  const invoice = await startInvoiceService(invoiceConfig(settings, databaseUrl), {
    log: logOf('invoice'),
  });
  started.defer(() => invoice.stop());
  const dispatcher = await startDispatcherService(
    dispatcherConfig(settings, { databaseUrl, secretKeys, ownership }),
    { log: logOf('dispatcher') },
  );
  started.defer(() => dispatcher.stop());
  const gateway = await startGatewayService(toGatewayConfig(settings), { log: logOf('gateway') });

  started.move();
  return {
    services: [subscription, invoice, dispatcher, gateway],
    stop: () => stopInOrder([gateway, invoice, dispatcher, subscription]),
  };
}

/** All of them are stopped, also after one has failed to; the failure is thrown at the end. */
async function stopInOrder(services: readonly RunningService[]): Promise<void> {
  await using rest = new AsyncDisposableStack();
  for (const service of services.toReversed()) {
    rest.defer(() => service.stop());
  }
}
