import { startReceiver, type Receiver } from '@billhook/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../system/connection.ts';
import { dollars } from '../system/invoice-calls.ts';
import { createSeparateServices } from '../system/separate-services.ts';
import type { System } from '../system/system.ts';
import { readWebhook } from '../system/webhook.ts';

const TIMEOUT_MS = 20_000;
let system: System;
let connection: Connection;
let receiver: Receiver;

beforeAll(async () => {
  system = await createSeparateServices({});
  await system.start();
  connection = connect(system.addresses);
  receiver = await startReceiver();
});

afterAll(async () => {
  connection.close();
  await receiver.close();
  await system.remove();
});

test('each service runs alone with its own command, and together they deliver', async () => {
  await connection.rest.register('*', receiver.url);
  await connection.invoices.create({ invoiceId: 'apart', amount: dollars(10) });
  await connection.invoices.pay({ invoiceId: 'apart', amountReceived: dollars(10) });
  const [created, paid] = await receiver.waitFor(2, TIMEOUT_MS);
  expect([created, paid].map((request) => request && readWebhook(request).event)).toEqual([
    'invoice_created',
    'invoice_paid',
  ]);
  expect(system.output.filter((line) => line.includes(' listening on '))).toHaveLength(4);
});

test('each ends with 0 on SIGTERM, and what waits is sent after a new start', async () => {
  expect(await system.stop('SIGTERM')).toBe(0);
  await system.start();
  const before = receiver.requests.length;
  await connection.invoices.create({ invoiceId: 'again', amount: dollars(20) });
  await receiver.waitFor(before + 1, TIMEOUT_MS);
  expect(receiver.requests).toHaveLength(before + 1);
});
