import { findFreePorts } from './free-ports.ts';
import type { Addresses, SystemSettings } from './system.ts';

/** Chooses free ports for the four services. */
export async function chooseAddresses(): Promise<Addresses> {
  const ports = await findFreePorts(4);
  const [gateway = '', invoice = '', subscription = '', delivery = ''] = ports.map(
    (port) => `127.0.0.1:${port}`,
  );
  return { gateway, invoice, subscription, delivery };
}

/** The settings that say where the services listen. */
export function toSettings(addresses: Addresses): SystemSettings {
  return {
    BILLHOOK_HTTP_ADDR: addresses.gateway,
    BILLHOOK_INVOICE_ADDR: addresses.invoice,
    BILLHOOK_SUBSCRIPTION_ADDR: addresses.subscription,
    BILLHOOK_DELIVERY_ADDR: addresses.delivery,
  };
}

/** The environment of the tests, without what would configure the system behind their back. */
export function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('BILLHOOK_')),
  );
}
