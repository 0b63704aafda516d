import { startReceiver } from '@billhook/testing';
import type { ReceivedRequest } from '@billhook/testing';
import { expect } from 'vitest';
import { connect } from './connection.ts';
import { dollars } from './invoice-calls.ts';
import type { System } from './system.ts';

const TIMEOUT_MS = 20_000;
const EVENT = 'invoice_created';

/** An amount that no filter asks for. */
const UNWANTED = 1_000;

/**
 * Registers another filter again and again, each for one amount, and makes at once an invoice of
 * this amount, one of the amount before, and one that nobody wants. Only the first ones may come.
 */
export async function raceFilters(system: System, rounds: number): Promise<void> {
  await using cleanUp = new AsyncDisposableStack();
  const receiver = await startReceiver();
  cleanUp.defer(() => receiver.close());
  const witness = await startReceiver();
  cleanUp.defer(() => witness.close());
  const billhook = connect(system.addresses);
  cleanUp.defer(() => billhook.close());
  await billhook.rest.register(EVENT, witness.url);

  const amounts = Array.from({ length: rounds }, (_, index) => index + 2);
  for (const [index, amount] of amounts.entries()) {
    await billhook.rest.register(EVENT, receiver.url, { 'data.amount': amount });
    await Promise.all(
      [amount, amount - 1, UNWANTED].map((each) =>
        billhook.invoices.create({ amount: dollars(each) }),
      ),
    );
    await receiver.waitFor(index + 1, TIMEOUT_MS);
  }
  await billhook.rest.unregister(EVENT, receiver.url);

  // An endpoint that gets everything: when it has, the dispatcher is past all of it.
  await witness.waitFor(3 * rounds, TIMEOUT_MS);
  await billhook.rest.unregister(EVENT, witness.url);
  expect(receiver.requests.map(amountOf)).toEqual(amounts);
}

function amountOf({ body }: ReceivedRequest): number {
  const { data }: { data: { amount: number } } = JSON.parse(body.toString());
  return data.amount;
}
