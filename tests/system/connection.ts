import { createDeliveryCalls } from './delivery-calls.ts';
import type { DeliveryCalls } from './delivery-calls.ts';
import { createEndpointCalls } from './endpoint-calls.ts';
import type { EndpointCalls } from './endpoint-calls.ts';
import { createInvoiceCalls } from './invoice-calls.ts';
import type { InvoiceCalls } from './invoice-calls.ts';
import { createReflectedClient } from './reflected-client.ts';
import type { ClientOptions, ReflectedClient } from './reflected-client.ts';
import { createRestCalls } from './rest-calls.ts';
import type { RestCalls } from './rest-calls.ts';
import type { Addresses } from './system.ts';

/** All that a system can be asked. */
export interface Connection {
  readonly rest: RestCalls;
  readonly invoices: InvoiceCalls;
  readonly endpoints: EndpointCalls;
  readonly deliveries: DeliveryCalls;
  readonly clients: Readonly<Record<'invoice' | 'subscription' | 'delivery', ReflectedClient>>;
  close(): void;
}

/** Makes the calls to a system; they work again after it was restarted. */
export function connect(addresses: Addresses, options: ClientOptions = {}): Connection {
  const clients = {
    invoice: createReflectedClient(addresses.invoice, options),
    subscription: createReflectedClient(addresses.subscription, options),
    delivery: createReflectedClient(addresses.delivery, options),
  };
  return {
    rest: createRestCalls(addresses.gateway),
    invoices: createInvoiceCalls(clients.invoice),
    endpoints: createEndpointCalls(clients.subscription),
    deliveries: createDeliveryCalls(clients.delivery),
    clients,
    close: () => Object.values(clients).forEach((client) => client.close()),
  };
}
