import { findFreePorts } from '../system/free-ports.ts';
import type { Addresses, SystemSettings } from '../system/system.ts';

/** The services of a cluster. Each needs those before it, and they stop the other way round. */
export const SERVICES = ['subscription', 'invoice', 'dispatcher', 'gateway'] as const;

export type Service = (typeof SERVICES)[number];

/** How many copies of each service there are. */
export type Copies = Readonly<Record<Service, number>>;

/**
 * Where the copies of each service listen, each as `host:port`. A copy that is to join later has its
 * place from the start: clients know all places, and call those that answer.
 */
export type Places = Readonly<Record<Service, readonly string[]>>;

/** The first port of each service; those of gRPC are ten apart for the copies of a service. */
const FIRST_PORT = { gateway: 8_080, invoice: 50_051, subscription: 50_052, dispatcher: 50_053 };
const PORTS_BETWEEN_COPIES = { gateway: 1, invoice: 10, subscription: 10, dispatcher: 10 };

/** Free ports for so many copies. */
export async function chooseFreePlaces(copies: Copies): Promise<Places> {
  const ports = [...(await findFreePorts(SERVICES.reduce((sum, name) => sum + copies[name], 0)))];
  return placesOf((service) => ports.splice(0, copies[service]));
}

/**
 * The ports that somebody who starts a cluster by hand expects: gateways at 8080, 8081, ..., invoice
 * services at 50051, 50061, ..., and the others beside them.
 */
export function fixedPlaces(copies: Copies): Places {
  return placesOf((service) =>
    Array.from(
      { length: copies[service] },
      (_, copy) => FIRST_PORT[service] + copy * PORTS_BETWEEN_COPIES[service],
    ),
  );
}

/** What a client of each service dials: all of its copies, as a comma list. */
export function toAddresses(places: Places): Addresses {
  return {
    gateway: places.gateway.join(),
    invoice: places.invoice.join(),
    subscription: places.subscription.join(),
    delivery: places.dispatcher.join(),
  };
}

/** The settings with which a copy listens at its own place and calls all copies of the others. */
export function settingsAt(places: Places, service: Service, place: string): SystemSettings {
  const listOf = (other: Service) => (other === service ? place : places[other].join());
  return {
    BILLHOOK_HTTP_ADDR: service === 'gateway' ? place : (places.gateway[0] ?? ''),
    BILLHOOK_INVOICE_ADDR: listOf('invoice'),
    BILLHOOK_SUBSCRIPTION_ADDR: listOf('subscription'),
    BILLHOOK_DELIVERY_ADDR: listOf('dispatcher'),
  };
}

/**
 * Where a copy serves its metrics: the first one at the place that is configured, the others at the
 * ports that follow.
 *
 * @param index counts the copies of all services, in the order in which they are started.
 */
export function metricsPlaceOf(first: string, index: number): string {
  return first.replace(/[1-9]\d*$/, (port) => String(Number(port) + index));
}

function placesOf(portsOf: (service: Service) => readonly number[]): Places {
  const at = (service: Service) => portsOf(service).map((port) => `127.0.0.1:${port}`);
  return {
    subscription: at('subscription'),
    invoice: at('invoice'),
    dispatcher: at('dispatcher'),
    gateway: at('gateway'),
  };
}
