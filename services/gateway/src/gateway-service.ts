import type { AddressInfo } from 'node:net';
import type { Monitoring } from '@billhook/metrics';
import { ConfigurationError } from '@billhook/runtime';
import type { Address, Log, RunningService } from '@billhook/runtime';
import type { GatewayConfig } from './config.ts';
import { HEALTH_TIMEOUT_MS } from './grpc/backend.ts';
import type { Backend } from './grpc/backend.ts';
import { createHealthProbe } from './grpc/health.ts';
import { createPingClient } from './grpc/pinger.ts';
import { createWebhookClient } from './grpc/webhooks.ts';
import { describeAway } from './rest/health.ts';
import { createRestServer } from './rest/server.ts';
import type { RestServer } from './rest/server.ts';

/** What a stop leaves of its time, so that cutting off what hangs is still part of it. */
const STOP_MARGIN_MS = 1_000;

export interface GatewayDependencies {
  readonly log: Log;
  readonly monitoring: Monitoring;
}

/**
 * Starts the public edge. The services behind it need not be there yet: until they are, `/readyz`
 * and the calls that need them answer 503.
 *
 * @throws ConfigurationError when it cannot listen on its address.
 */
export async function startGatewayService(
  config: GatewayConfig,
  deps: GatewayDependencies,
): Promise<RunningService> {
  const subscription = createBackend('subscription', config.subscriptionTarget);
  const delivery = createBackend('delivery', config.deliveryTarget);
  const webhooks = createWebhookClient(config.subscriptionTarget, subscription);
  const pinger = createPingClient(config.deliveryTarget, delivery, config);
  const closeClients = () => {
    for (const client of [webhooks, pinger, subscription.health, delivery.health]) client.close();
  };

  const checkBackends = async () => {
    const [isSubscriptionServing, isDeliveryServing] = await Promise.all([
      subscription.health.isServing(HEALTH_TIMEOUT_MS),
      delivery.health.isServing(HEALTH_TIMEOUT_MS),
    ]);
    return {
      subscription: isSubscriptionServing ? 'serving' : 'away',
      delivery: isDeliveryServing ? 'serving' : 'away',
    } as const;
  };
  deps.monitoring.addCheck(async () => describeAway(await checkBackends()));
  const app = await createRestServer(
    { webhooks, pinger, backends: { check: checkBackends }, ...deps },
    config,
  );
  try {
    await listen(app, config.httpAddr);
  } catch (error) {
    closeClients();
    throw error;
  }

  return {
    name: 'gateway',
    address: addressOf(app, config.httpAddr),
    stop: async () => {
      await closeWithin(app, Math.max(config.shutdownTimeoutMs - STOP_MARGIN_MS, 0));
      closeClients();
    },
  };
}

function createBackend(name: string, target: string): Backend {
  return { name, health: createHealthProbe(target) };
}

async function listen(app: RestServer, address: Address): Promise<void> {
  try {
    await app.listen({ host: address.host, port: address.port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given';
    throw new ConfigurationError(
      `The gateway cannot listen on ${address.text} (${code}): choose another BILLHOOK_HTTP_ADDR.`,
      { cause: error },
    );
  }
}

/** Port 0 lets the system choose, so the port is the one that was bound. */
function addressOf(app: RestServer, configured: Address): string {
  const bound: string | AddressInfo | null = app.server.address();
  if (bound === null || typeof bound === 'string') return configured.text;
  return configured.text.replace(/\d+$/, String(bound.port));
}

/** Finishes the requests under way, and cuts off what is left of them at the deadline. */
async function closeWithin(app: RestServer, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), timeoutMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}
