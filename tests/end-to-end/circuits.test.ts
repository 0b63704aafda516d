import { describe, expect, test } from 'vitest';
import { outcomeOf } from '../system/call-failure.ts';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook } from '../system/webhook.ts';

const billhook = useBillhook({ BILLHOOK_RETRY_SCHEDULE: '300ms,300ms' });
const TIMEOUT_MS = 30_000;
/** More than the failures in a row that open a circuit. */
const INVOICES = 20;

describe('an endpoint that fails again and again', () => {
  test('is shown with its open circuit, its reason and its next probe, and gets what is dead by hand', async () => {
    let isMended = false;
    const receiver = await billhook.startReceiver({
      answer: () => ({ kind: 'respond', status: isMended ? 200 : 500 }),
    });
    const { endpoint_id: endpointId } = await billhook.register('*', receiver.url);
    const begunAt = new Date();
    await Promise.all(
      Array.from({ length: INVOICES }, () => billhook.invoices.create({ amount: dollars(1) })),
    );

    const standing = async () => (await billhook.endpoints.delivery(endpointId))?.dispatchers;
    const open = { circuitState: 'CIRCUIT_STATE_OPEN', circuitReason: 'answered 500' };
    await expect
      .poll(standing, { timeout: TIMEOUT_MS })
      .toContainEqual(expect.objectContaining({ ...open, concurrencyLimit: 1 }));
    const shown = (await standing())?.find(
      ({ circuitState }) => circuitState === open.circuitState,
    );
    expect(shown?.nextProbeTime === undefined).toBe(false);

    isMended = true;
    const { deliveries } = billhook;
    await deliveries.listWhen(endpointId, (all) =>
      all.every(({ state }) => state === 'DELIVERED' || state === 'DEAD'),
    );
    const listed = await deliveries.list(endpointId);
    const dead = listed.filter(({ state }) => state === 'DEAD').length;
    const startTime = { seconds: Math.floor(begunAt.getTime() / 1_000) - 60, nanos: 0 };
    expect(await deliveries.retryAll(endpointId, { endTime: startTime })).toBe(0);
    expect(await deliveries.retryAll(endpointId, { startTime })).toBe(dead);
    await deliveries.listWhen(endpointId, (all) => all.every(({ state }) => state === 'DELIVERED'));
    const invoices = new Set(receiver.requests.map((request) => readWebhook(request).invoiceId));
    expect(invoices.size).toBe(INVOICES);
  });

  test('is called no more after as few failures as it says itself', async () => {
    const receiver = await billhook.startReceiver({
      answer: () => ({ kind: 'respond', status: 500 }),
    });
    const { endpoint_id: endpointId } = await billhook.register('*', receiver.url);
    await billhook.endpoints.update({ endpointId, circuitFailures: 1 });
    await billhook.invoices.create({ amount: dollars(1) });
    // One delivery has three attempts, where ten failures open the circuit of any other endpoint.
    const open = { circuitState: 'CIRCUIT_STATE_OPEN', circuitReason: 'answered 500' };
    await expect
      .poll(async () => (await billhook.endpoints.delivery(endpointId))?.dispatchers, {
        timeout: TIMEOUT_MS,
      })
      .toContainEqual(expect.objectContaining(open));
  });

  test('cannot be asked for a range that ends before it begins', async () => {
    const receiver = await billhook.startReceiver();
    const { endpoint_id: endpointId } = await billhook.register('*', receiver.url);
    const range = { startTime: { seconds: 9, nanos: 0 }, endTime: { seconds: 8, nanos: 0 } };
    expect(await outcomeOf(billhook.deliveries.retryAll(endpointId, range))).toBe(
      'INVALID_ARGUMENT FIELD_INVALID',
    );
  });
});
