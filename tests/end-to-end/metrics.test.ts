import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePorts } from '../system/free-ports.ts';
import { createSeparateServices } from '../system/separate-services.ts';
import type { System } from '../system/system.ts';

const NOBODY = '127.0.0.1:1';
const SERVICES = ['subscription', 'invoice', 'dispatcher', 'gateway'] as const;

type Service = (typeof SERVICES)[number];

let system: System;
let places: Readonly<Record<Service, string>>;

beforeAll(async () => {
  const ports = await findFreePorts(SERVICES.length);
  const [subscription = '', invoice = '', dispatcher = '', gateway = ''] = ports.map(
    (port) => `127.0.0.1:${port}`,
  );
  places = { subscription, invoice, dispatcher, gateway };
  // The invoice service alone relays, in vain: the others work without Kafka.
  const relaying = { BILLHOOK_KAFKA_BROKERS: NOBODY, BILLHOOK_METRICS_ADDR: invoice };
  system = await createSeparateServices(
    {},
    {
      subscription: { BILLHOOK_METRICS_ADDR: subscription },
      invoice: relaying,
      dispatcher: { BILLHOOK_METRICS_ADDR: dispatcher },
      gateway: { BILLHOOK_METRICS_ADDR: gateway },
    },
  );
  await system.start();
});

afterAll(() => system.remove());

async function readiness(service: Service): Promise<unknown> {
  return (await fetch(`http://${places[service]}/readyz`)).json();
}

test.for(SERVICES)(
  'the process of the %s shows that it lives, and how it does',
  async (service) => {
    expect((await fetch(`http://${places[service]}/healthz`)).status).toBe(200);
    const metrics = await fetch(`http://${places[service]}/metrics`);
    expect(metrics.status).toBe(200);
    expect(await metrics.text()).toContain('billhook_ready');
  },
);

test('each process is ready, but for one whose events are not relayed, which says so', async () => {
  for (const service of ['subscription', 'dispatcher', 'gateway'] as const) {
    await expect.poll(() => readiness(service), { timeout: 20_000 }).toEqual({ status: 'ready' });
  }
  await expect
    .poll(() => readiness('invoice'), { timeout: 20_000 })
    .toEqual({
      status: 'not_ready',
      problems: [expect.stringMatching(/^events are not relayed: /)],
    });
});
