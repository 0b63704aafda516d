import { expect, test } from 'vitest';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';

/** So long that whoever waits for an endpoint that hangs does not get anywhere in this test. */
const billhook = useBillhook({
  BILLHOOK_DELIVERY_TIMEOUT: '90s',
  BILLHOOK_SHUTDOWN_TIMEOUT: '100s',
});
const TIMEOUT_MS = 30_000;
const INVOICES = 300;

test('an endpoint that never answers does not hold up its neighbour on the same host', async () => {
  const receiver = await billhook.startReceiver({
    answer: ({ path }) =>
      path.startsWith('/hang') ? { kind: 'hang' } : { kind: 'respond', status: 200 },
  });
  const origin = `http://127.0.0.1:${receiver.port}`;
  for (const path of ['/hang-1', '/hang-2', '/ok']) await billhook.register('*', origin + path);

  const waits = Array.from({ length: INVOICES }, () =>
    billhook.invoices.create({ amount: dollars(1) }),
  );
  await Promise.all(waits);

  const reached = (): number => receiver.requests.filter(({ path }) => path === '/ok').length;
  await receiver.waitFor(() => reached() >= INVOICES, TIMEOUT_MS);
  expect(reached()).toBe(INVOICES);
});
