import { dispatcherConfig, startDispatcherService } from '@billhook/dispatcher';
import { createAppendBell } from '@billhook/event-store';
import { startGatewayService, gatewayConfig } from '@billhook/gateway';
import { invoiceConfig, startInvoiceService } from '@billhook/invoice';
import type { Monitoring } from '@billhook/metrics';
import { startSubscriptionService, subscriptionConfig } from '@billhook/subscription';
import { ConfigurationError } from '@billhook/runtime';
import type { Address, Log, RunningService, Settings, Stoppable } from '@billhook/runtime';
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
  { log, monitoring }: { readonly log: Log; readonly monitoring: Monitoring },
): Promise<RunningServices> {
  const { databaseUrl, secretKeys } = storage;
  const ownership = storage.exclusive ? 'sole' : 'shared';
  const bell = createAppendBell({ reachesAll: storage.exclusive });
  const logOf = (service: string) => log.child({ service });
  await using started = new AsyncDisposableStack();
  const subscription = await naming(
    'BILLHOOK_SUBSCRIPTION_ADDR',
    settings.subscriptionAddr.listen,
    () =>
      startSubscriptionService(subscriptionConfig(settings, { databaseUrl, secretKeys }), {
        log: logOf('subscription'),
        monitoring,
      }),
  );
  started.defer(() => subscription.stop());
  const invoice = await naming('BILLHOOK_INVOICE_ADDR', settings.invoiceAddr.listen, () =>
    startInvoiceService(invoiceConfig(settings, databaseUrl), {
      log: logOf('invoice'),
      monitoring,
      bell,
    }),
  );
  started.defer(() => invoice.stop());
  const dispatcher = await naming('BILLHOOK_DELIVERY_ADDR', settings.deliveryAddr.listen, () =>
    startDispatcherService(dispatcherConfig(settings, { databaseUrl, secretKeys, ownership }), {
      log: logOf('dispatcher'),
      monitoring,
      bell,
      currentRevision: storage.exclusive ? () => subscription.revision() : undefined,
    }),
  );
  started.defer(() => dispatcher.stop());
  const gateway = await naming('BILLHOOK_HTTP_ADDR', settings.httpAddr, () =>
    startGatewayService(gatewayConfig(settings), { log: logOf('gateway'), monitoring }),
  );

  started.move();
  return {
    services: [subscription, invoice, dispatcher, gateway],
    stop: () => stopInOrder([gateway, invoice, dispatcher, subscription]),
  };
}

/** A service knows the address that it cannot listen on, and not the variable that holds it. */
async function naming<Running extends RunningService>(
  variable: string,
  address: Address,
  start: () => Promise<Running>,
): Promise<Running> {
  try {
    return await start();
  } catch (error) {
    const isUnnamed =
      error instanceof ConfigurationError &&
      error.message.includes(address.text) &&
      !error.message.includes(variable);
    throw isUnnamed
      ? new ConfigurationError(`${error.message} Set ${variable} to another address.`, {
          cause: error,
        })
      : error;
  }
}

/** All of them are stopped, also after one has failed to; the failure is thrown at the end. */
async function stopInOrder(services: readonly Stoppable[]): Promise<void> {
  await using rest = new AsyncDisposableStack();
  for (const service of services.toReversed()) {
    rest.defer(() => service.stop());
  }
}
