import { expect, test } from 'vitest';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook } from '../system/webhook.ts';

const billhook = useBillhook();

const LOOPS = 4;
const ROUNDS = 75;
const TIMEOUT_MS = 20_000;

/**
 * Each round has an address of its own: one that is registered again within the clock tolerance is
 * allowed to get what was made in between.
 */
test(`in ${LOOPS * ROUNDS} rounds what is made after /register comes, and after /unregister does not`, async () => {
  const receiver = await billhook.startReceiver();
  const witness = await billhook.startReceiver();
  await billhook.register('*', witness.url);
  const wanted = new Set<string>();
  const unwanted = new Set<string>();
  const arrivals = () =>
    receiver.requests.map((request) => `${request.path} ${readWebhook(request).invoiceId}`);

  async function runRounds(loop: number): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const path = `/${loop}/${round}`;
      const url = new URL(path, receiver.url).href;
      await billhook.rest.register('invoice_created', url);
      const after = await billhook.invoices.create({ amount: dollars(1) });
      const expected = `${path} ${after.invoiceId}`;
      wanted.add(expected);
      // What still waits when its endpoint goes is cancelled, so it has to come first.
      await receiver.waitFor(() => arrivals().includes(expected), TIMEOUT_MS);
      await billhook.rest.unregister('invoice_created', url);
      const late = await billhook.invoices.create({ amount: dollars(2) });
      unwanted.add(`${path} ${late.invoiceId}`);
    }
  }
  await Promise.all(Array.from({ length: LOOPS }, (_, loop) => runRounds(loop)));

  // An endpoint that stays gets everything: when it has, the dispatcher is past all of it.
  await witness.waitFor(2 * LOOPS * ROUNDS, TIMEOUT_MS);
  const arrived = new Set(arrivals());
  expect([...wanted].filter((event) => !arrived.has(event))).toEqual([]);
  expect([...unwanted].filter((event) => arrived.has(event))).toEqual([]);
});
