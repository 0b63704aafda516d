import { startReceiver } from '@billhook/testing';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect } from '../system/connection.ts';
import { dollars } from '../system/invoice-calls.ts';
import { findFreePorts } from '../system/free-ports.ts';
import {
  documentedMetrics,
  readMetrics,
  type Section,
  type ShownMetrics,
} from '../system/metrics.ts';
import { createSeparateServices } from '../system/separate-services.ts';
import { createStandalone } from '../system/standalone.ts';
import type { System } from '../system/system.ts';

const NOBODY = '127.0.0.1:1';
const TIMEOUT_MS = 20_000;
const SERVICES = ['subscription', 'invoice', 'dispatcher', 'gateway'] as const;

type Service = (typeof SERVICES)[number];

/** The parts of the list of metrics that are about each process. */
const SECTIONS: Readonly<Record<Service, readonly Section[]>> = {
  subscription: ['Every process', 'gRPC services', 'Event stores', 'Subscription service'],
  invoice: ['Every process', 'gRPC services', 'Event stores', 'Invoice service', 'Relay'],
  dispatcher: ['Every process', 'gRPC services', 'Dispatcher'],
  gateway: ['Every process', 'Gateway'],
};

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

async function samplesOf(service: Service): Promise<ShownMetrics['samples']> {
  return (await readMetrics(places[service])).samples;
}

/** The metrics of a process are those of the sections, with the same types, meanings and labels. */
async function expectAsDocumented(place: string, sections: readonly Section[]): Promise<void> {
  const { descriptions } = await readMetrics(place);
  const documented = documentedMetrics(sections);
  expect(Object.keys(descriptions).toSorted()).toEqual(Object.keys(documented).toSorted());
  expect(documented).toMatchObject(descriptions);
}

test('each process is ready, but for one whose events are not relayed, which says so', async () => {
  for (const service of ['subscription', 'dispatcher', 'gateway'] as const) {
    await expect
      .poll(() => readiness(service), { timeout: TIMEOUT_MS })
      .toEqual({ status: 'ready' });
  }
  await expect
    .poll(() => readiness('invoice'), { timeout: TIMEOUT_MS })
    .toEqual({
      status: 'not_ready',
      problems: [expect.stringMatching(/^events are not relayed: /)],
    });
  for (const service of SERVICES) {
    expect((await fetch(`http://${places[service]}/healthz`)).status).toBe(200);
  }
});

test('what goes through the system is counted by each process that has to do with it', async () => {
  const connection = connect(system.addresses);
  onTestFinished(() => connection.close());
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  await connection.rest.register('invoice_created', receiver.url);
  await connection.invoices.create({ invoiceId: 'counted', amount: dollars(10) });
  await receiver.waitFor(1, TIMEOUT_MS);

  expect(await samplesOf('gateway')).toMatchObject({
    billhook_ready: 1,
    'billhook_http_requests_total{route="/register",status="200"}': 1,
  });
  expect(await samplesOf('subscription')).toMatchObject({
    'billhook_store_commands_total{store="subscription",code="OK"}': 1,
    billhook_subscription_revision: 2,
    'billhook_grpc_active_calls{service="billhook.subscription.v1.SubscriptionService",method="Watch"}': 1,
  });
  expect(await samplesOf('invoice')).toMatchObject({
    billhook_ready: 0,
    billhook_relay_up: 0,
    'billhook_grpc_calls_total{service="billhook.invoice.v1.InvoiceService",method="CreateInvoice",code="OK"}': 1,
  });
  await expect
    .poll(() => samplesOf('dispatcher'), { timeout: TIMEOUT_MS })
    .toMatchObject({
      billhook_dispatcher_lanes: 16,
      billhook_dispatcher_revision: 2,
      billhook_dispatcher_delivery_lag_seconds_count: 1,
      'billhook_dispatcher_settlements_total{settlement="delivered"}': 1,
    });
});

test.for(SERVICES)(
  'the process of the %s shows what the list says, and no more',
  async (service) => {
    await expectAsDocumented(places[service], SECTIONS[service]);
  },
);

test('a process of all services shows the metrics of all of them', async () => {
  const [port] = await findFreePorts(1);
  const place = `127.0.0.1:${port}`;
  const standalone = await createStandalone({ BILLHOOK_METRICS_ADDR: place });
  try {
    await standalone.start();
    const sections = new Set(SERVICES.flatMap((service) => SECTIONS[service]));
    // It reads the store itself.
    sections.delete('Relay');
    await expectAsDocumented(place, [...sections]);
    await expect
      .poll(async () => (await fetch(`http://${place}/readyz`)).status, { timeout: TIMEOUT_MS })
      .toBe(200);
  } finally {
    await standalone.remove();
  }
});
