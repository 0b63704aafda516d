import type { AnswerRequest, ReceiverAnswer } from '@billhook/testing';
import { describe, expect, test } from 'vitest';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook, summarise, verifySignature } from '../system/webhook.ts';

const billhook = useBillhook({
  BILLHOOK_RETRY_SCHEDULE: Array<string>(30).fill('200ms').join(','),
  BILLHOOK_DELIVERY_TIMEOUT: '1s',
});
const TIMEOUT_MS = 30_000;

const accept: ReceiverAnswer = { kind: 'respond', status: 200 };

/** Every way in which an answer is no success, though the sender gets one. */
const failures: readonly (readonly [name: string, answer: ReceiverAnswer])[] = [
  ['answers 500', { kind: 'respond', status: 500 }],
  ['answers 404', { kind: 'respond', status: 404, body: '<html>'.repeat(10_000) }],
  ['redirects', { kind: 'respond', status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
  ['answers 429 without a time', { kind: 'respond', status: 429 }],
  ['hangs', { kind: 'hang' }],
  ['resets', { kind: 'reset' }],
  ['answers what is no HTTP', { kind: 'garbage', bytes: 'hello\r\n\r\n' }],
  ['answers random bytes', { kind: 'garbage', bytes: Buffer.from([0, 255, 13, 10, 13, 10]) }],
  ['trickles without an end', { kind: 'trickle', status: 200, everyMs: 20 }],
];

/** Fails so many attempts of each webhook before it accepts it. */
function failFirst(attempts: number, failure: ReceiverAnswer): AnswerRequest {
  return (request) => (readWebhook(request).attempt <= attempts ? failure : accept);
}

async function runThroughInvoice(): Promise<string> {
  const { invoiceId } = await billhook.invoices.create({ amount: dollars(5) });
  await billhook.invoices.update({ invoiceId, amount: dollars(6) });
  await billhook.invoices.pay({ invoiceId, amountReceived: dollars(6) });
  return invoiceId;
}

describe('a receiver that', () => {
  test.for(failures)('%s is tried again, in the order of the invoice', async ([, failure]) => {
    const bad = await billhook.startReceiver({ answer: failFirst(2, failure) });
    const good = await billhook.startReceiver();
    const { secret } = await billhook.register('*', bad.url);
    await billhook.register('*', good.url);

    await runThroughInvoice();
    // The good one has all before the bad one has accepted its second.
    await good.waitFor(3, TIMEOUT_MS);
    expect(bad.requests.map(readWebhook).map(summarise)).not.toContain('paid/3');
    const requests = await bad.waitFor(
      () => bad.requests.map(readWebhook).some(({ sequence, attempt }) => sequence + attempt === 6),
      TIMEOUT_MS,
    );

    const webhooks = requests.map(readWebhook);
    const attempts = webhooks.map((webhook) => `${summarise(webhook)} ${webhook.attempt}`);
    // One that breaks a used connection off may get an attempt twice: it could have been idle.
    expect([...new Set(attempts)]).toEqual(
      ['created/1', 'updated/2', 'paid/3'].flatMap((event) =>
        [1, 2, 3].map((attempt) => `${event} ${attempt}`),
      ),
    );
    expect(new Set(webhooks.map(({ id }) => id)).size).toBe(3);
    expect(new Set(webhooks.map(({ body }) => body)).size).toBe(3);
    requests.forEach((request) => verifySignature(request, secret));
    expect(good.requests.map(readWebhook).map(({ id }) => id)).toEqual([
      ...new Set(webhooks.map(({ id }) => id)),
    ]);
  });

  test('says things that are no text gets them neither into the log nor unescaped anywhere', async () => {
    const body = '\n{"level":"fatal","msg":"EVIL"}\r\n\u001b[2J\u009b\u202e\u2028\u0000'.repeat(
      1_000,
    );
    const bytes = `HTTP/1.1 500 \u001b[31mEVIL\r\nx-evil: EVIL\u0090\r\n\r\n${body}`;
    const failure: ReceiverAnswer = { kind: 'garbage', bytes };
    const receiver = await billhook.startReceiver({ answer: failFirst(2, failure) });
    const { endpoint_id: endpointId } = await billhook.register('invoice_created', receiver.url);
    const { invoiceId } = await billhook.invoices.create({ amount: dollars(5) });
    const [delivery] = await billhook.deliveries.listWhen(endpointId, (deliveries) =>
      deliveries.some(({ state }) => state === 'DELIVERED'),
    );

    const { attempts } = await billhook.deliveries.get(delivery?.deliveryId ?? '');
    expect(attempts.map(({ status }) => status)).toEqual([500, 500, 200]);
    const [detail = ''] = attempts.map((attempt) => attempt.detail);
    expect(detail).toMatch(/^\\n\{"level":"fatal","msg":"EVIL"\}\\u\{d\}\\n\\u\{1b\}\[2J/);
    expect(detail).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(detail.length).toBeLessThan(2_000);
    const lines = billhook.system.log.filter((line) => line.includes(invoiceId));
    expect(lines.length).toBeGreaterThan(0);
    expect(billhook.system.log.filter((line) => /EVIL|\p{Cc}/u.test(line))).toEqual([]);
    for (const line of billhook.system.log) expect(() => JSON.parse(line), line).not.toThrow();
  });

  test('is slow gets each event once', async () => {
    const answer = { ...accept, delayMs: 400 } as const;
    const receiver = await billhook.startReceiver({ answer: () => answer });
    await billhook.register('*', receiver.url);

    await runThroughInvoice();
    await receiver.waitFor(3, TIMEOUT_MS);

    expect(receiver.requests.map(readWebhook).map(summarise)).toEqual([
      'created/1',
      'updated/2',
      'paid/3',
    ]);
  });

  test('fails one invoice is sent the others meanwhile', async () => {
    const held = await billhook.invoices.create({ amount: dollars(1) });
    let mended = false;
    const receiver = await billhook.startReceiver({
      answer: (request) =>
        mended || readWebhook(request).invoiceId !== held.invoiceId
          ? accept
          : { kind: 'respond', status: 500 },
    });
    await billhook.register('invoice_updated', receiver.url);
    await billhook.register('invoice_paid', receiver.url);

    await billhook.invoices.update({ invoiceId: held.invoiceId, amount: dollars(2) });
    await billhook.invoices.pay({ invoiceId: held.invoiceId, amountReceived: dollars(2) });
    const others = await Promise.all(Array.from({ length: 20 }, runThroughInvoice));
    await receiver.waitFor(
      (requests) =>
        requests.filter((request) => readWebhook(request).invoiceId !== held.invoiceId).length ===
        2 * others.length,
      TIMEOUT_MS,
    );
    const ofHeld = () =>
      receiver.requests.map(readWebhook).filter(({ invoiceId }) => invoiceId === held.invoiceId);
    expect(new Set(ofHeld().map(summarise))).toEqual(new Set(['updated/2']));

    mended = true;
    await receiver.waitFor(() => ofHeld().some(({ sequence }) => sequence === 3), TIMEOUT_MS);
    expect(ofHeld().map(summarise).slice(-2)).toEqual(['updated/2', 'paid/3']);
  });

  test('fails at random gets all events of many invoices in order', async () => {
    const successes = new Map<string, number[]>();
    const receiver = await billhook.startReceiver({
      answer(request) {
        if (Math.random() < 0.4) return { kind: 'respond', status: 503 };
        const { invoiceId, sequence } = readWebhook(request);
        const sequences = successes.get(invoiceId) ?? [];
        successes.set(invoiceId, sequences);
        if (!sequences.includes(sequence)) sequences.push(sequence);
        return accept;
      },
    });
    await billhook.register('*', receiver.url);

    const invoiceIds = await Promise.all(Array.from({ length: 60 }, runThroughInvoice));
    await expect
      .poll(() => invoiceIds.every((id) => successes.get(id)?.length === 3), {
        timeout: TIMEOUT_MS,
      })
      .toBe(true);

    expect(invoiceIds.map((id) => successes.get(id))).toEqual(invoiceIds.map(() => [1, 2, 3]));
  });

  test('is away gets what it missed, in order, when it comes back', async () => {
    const away = await billhook.startReceiver();
    await billhook.register('*', away.url);
    await away.close();

    await runThroughInvoice();
    const back = await billhook.startReceiver({ port: away.port });
    await back.waitFor(3, TIMEOUT_MS);

    expect(back.requests.map(readWebhook).map(summarise)).toEqual([
      'created/1',
      'updated/2',
      'paid/3',
    ]);
  });
});
