import { startReceiver } from '@billhook/testing';
import type { Receiver } from '@billhook/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../system/connection.ts';
import type { Connection } from '../system/connection.ts';
import { createSystem } from '../system/create-system.ts';
import { dollars } from '../system/invoice-calls.ts';
import { startLateProxy } from '../system/late-proxy.ts';
import { createSeparateServices } from '../system/separate-services.ts';
import type { System } from '../system/system.ts';
import { readWebhook } from '../system/webhook.ts';

const TIMEOUT_MS = 20_000;
const EVENT = 'invoice_created';

/** So late that a mutation is done and read before; well below what makes a dispatcher look again. */
const LATE_MS = 100;

interface Race {
  readonly loops: number;
  readonly rounds: number;
}

let cleanUp: AsyncDisposableStack;
beforeEach(() => {
  cleanUp = new AsyncDisposableStack();
});
afterEach(() => cleanUp.disposeAsync());

test('what is made after /register comes, and what is made after /unregister does not', async () => {
  const billhook = await start(await createSystem({}));

  await race(billhook, {
    loops: 4,
    rounds: 75,
  });
});

test('so it is when the dispatcher hears late of what is registered', async () => {
  const proxy = await startLateProxy(LATE_MS);
  cleanUp.defer(() => proxy.close());
  const lateWay = { BILLHOOK_SUBSCRIPTION_ADDR: proxy.address };
  const system = await createSeparateServices({}, lateWay);
  proxy.leadTo(system.addresses.subscription);
  const billhook = await start(system);

  await race(billhook, {
    loops: 10,
    rounds: 5,
  });
});

async function start(system: System): Promise<Connection> {
  cleanUp.defer(() => system.remove());
  await system.start();
  const billhook = connect(system.addresses);
  cleanUp.defer(() => billhook.close());
  return billhook;
}

async function startClosedReceiver(): Promise<Receiver> {
  const receiver = await startReceiver();
  cleanUp.defer(() => receiver.close());
  return receiver;
}

/**
 * Registers, mutates, unregisters and mutates in several loops at the same time. Each round has an
 * address of its own: one that is registered again within the clock tolerance is allowed to get what
 * was made in between.
 */
async function race(billhook: Connection, { loops, rounds }: Race): Promise<void> {
  const receiver = await startClosedReceiver();
  const witness = await startClosedReceiver();
  await billhook.rest.register('*', witness.url);
  const wanted: string[] = [];
  const unwanted: string[] = [];
  const arrivals = () =>
    receiver.requests.map((request) => `${request.path} ${readWebhook(request).invoiceId}`);

  async function runLoop(loop: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const path = `/${loop}/${round}`;
      const url = new URL(path, receiver.url).href;
      await billhook.rest.register(EVENT, url);
      const early = await billhook.invoices.create({ amount: dollars(1) });
      const expected = `${path} ${early.invoiceId}`;
      wanted.push(expected);
      // What still waits when its endpoint goes is cancelled, so it has to come first.
      await receiver.waitFor(() => arrivals().includes(expected), TIMEOUT_MS);
      await billhook.rest.unregister(EVENT, url);
      const late = await billhook.invoices.create({ amount: dollars(2) });
      unwanted.push(`${path} ${late.invoiceId}`);
    }
  }
  await Promise.all(Array.from({ length: loops }, (_, loop) => runLoop(loop)));

  // An endpoint that stays gets everything: when it has, the dispatcher is past all of it.
  await witness.waitFor(2 * loops * rounds, TIMEOUT_MS);
  const arrived = new Set(arrivals());
  expect(wanted.filter((event) => !arrived.has(event))).toEqual([]);
  expect(unwanted.filter((event) => arrived.has(event))).toEqual([]);
}
