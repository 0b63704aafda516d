import { deliveryV1, subscriptionV1 } from '@billhook/contracts';
import { implement, startGrpcServer } from '@billhook/grpc';
import type { GrpcServer, Handlers, ServedService } from '@billhook/grpc';
import { createMonitoring } from '@billhook/metrics';
import { createLog, invalidField } from '@billhook/runtime';
import type { Address, RunningService, ServiceError } from '@billhook/runtime';
import { startGatewayService } from './gateway-service.ts';

const log = createLog({ level: 'silent', service: 'gateway-test' });

/** Port 0: the system chooses one. */
const anyPort: Address = { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' };

/** A port on which nobody listens, and where a connection is refused at once. */
const nowhere = '127.0.0.1:1';

export type SubscriptionHandlers = Pick<
  Handlers<typeof subscriptionV1.SubscriptionServiceService>,
  'register' | 'unregister'
>;
export type PingHandler = Handlers<typeof deliveryV1.DeliveryServiceService>['ping'];

/**
 * Starts a gRPC server that answers the calls which the gateway makes of the subscription service.
 *
 * @param at `host:port`, for one that comes back where another was.
 */
export function startSubscriptionServer(
  handlers: SubscriptionHandlers,
  at?: string,
): Promise<GrpcServer> {
  const definition = {
    register: subscriptionV1.SubscriptionServiceService.register,
    unregister: subscriptionV1.SubscriptionServiceService.unregister,
  };
  return startServer(implement(definition, { ...handlers }), at);
}

/** Starts a gRPC server that answers pings. */
export function startDeliveryServer(ping: PingHandler): Promise<GrpcServer> {
  return startServer(implement({ ping: deliveryV1.DeliveryServiceService.ping }, { ping }));
}

/** Starts a gateway; a service without an address is away. */
export function startGateway(
  options: {
    readonly subscription?: string;
    readonly delivery?: string;
    readonly anyHost?: boolean;
  },
  monitoring = createMonitoring(),
): Promise<RunningService> {
  const config = {
    httpAddr: anyPort,
    subscriptionTarget: options.subscription ?? nowhere,
    deliveryTarget: options.delivery ?? nowhere,
    anyHost: options.anyHost ?? false,
    deliveryTimeoutMs: 5_000,
    shutdownTimeoutMs: 10_000,
    logLevel: 'silent',
    version: '0.0.0-test',
  };
  return startGatewayService(config, { log, monitoring });
}

/** Answers registrations as a subscription service does that knows no endpoint yet. */
export const acceptingSubscriptions: SubscriptionHandlers = {
  register: async ({ event, url }) => {
    if (!URL.canParse(url)) throw invalidField('url', 'URL_INVALID', 'Send an absolute address.');
    return subscriptionV1.RegisterResponse.create({
      endpoint: { endpointId: 'ep_1', url: new URL(url).href, state: 'ENDPOINT_STATE_ACTIVE' },
      subscription: { endpointId: 'ep_1', event, url },
      secret: 'whsec_shown_once',
    });
  },
  unregister: async ({ url }) =>
    subscriptionV1.UnregisterResponse.create({ endpointId: 'ep_1', url, endpointRemoved: true }),
};

/** Refuses registrations and their removal alike. */
export function refusingSubscriptions(error: ServiceError): SubscriptionHandlers {
  const refuse = async () => {
    throw error;
  };
  return { register: refuse, unregister: refuse };
}

function startServer(service: ServedService, at = anyPort.text): Promise<GrpcServer> {
  const address = { ...anyPort, port: Number(at.split(':')[1]), text: at };
  return startGrpcServer({ address, services: [service], log });
}
