import type { AnswerRequest, ReceivedRequest, ReceiverAnswer } from '@billhook/testing';
import { describe, expect, test } from 'vitest';
import { audit } from '../kills/audit.ts';
import type { Acknowledged, Arrival } from '../kills/audit.ts';
import { dollars } from '../system/invoice-calls.ts';
import { useBillhook } from '../system/use-billhook.ts';
import { readWebhook } from '../system/webhook.ts';

const accept: ReceiverAnswer = { kind: 'respond', status: 200 };

describe('an endpoint that never answers', () => {
  /** So long that whoever waits for one that hangs does not get anywhere in this test. */
  const billhook = useBillhook({
    BILLHOOK_DELIVERY_TIMEOUT: '90s',
    BILLHOOK_SHUTDOWN_TIMEOUT: '100s',
  });
  const timeoutMs = 30_000;
  const invoices = 300;

  test('does not hold up its neighbour on the same host', async () => {
    const receiver = await billhook.startReceiver({
      answer: ({ path }) => (path.startsWith('/hang') ? { kind: 'hang' } : accept),
    });
    const origin = `http://127.0.0.1:${receiver.port}`;
    for (const path of ['/hang-1', '/hang-2', '/ok']) await billhook.register('*', origin + path);

    const waits = Array.from({ length: invoices }, () =>
      billhook.invoices.create({ amount: dollars(1) }),
    );
    await Promise.all(waits);

    const reached = (): number => receiver.requests.filter(({ path }) => path === '/ok').length;
    await receiver.waitFor(() => reached() >= invoices, timeoutMs);
    expect(reached()).toBe(invoices);
  });
});

const DEADLINE_MS = 1_000;

/** How the tenth endpoint answers; not at all if nobody listens there. */
type Bad = ReceiverAnswer | undefined;

const HALF = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of';
const HUGE = Buffer.alloc(1024 * 1024, '.');

const badNeighbours: readonly (readonly [name: string, bad: Bad])[] = [
  ['is dead', undefined],
  ['refuses', { kind: 'respond', status: 503 }],
  ['hangs', { kind: 'hang' }],
  ['trickles', { kind: 'trickle', status: 200, everyMs: 20 }],
  ['resets in the middle of its body', { kind: 'reset', after: HALF }],
  ['answers at the very deadline', { ...accept, delayMs: DEADLINE_MS }],
  ['answers garbage', { kind: 'garbage', bytes: Buffer.from([0, 255, 13, 10, 13, 10]) }],
  ['refuses at great length', { kind: 'respond', status: 500, body: HUGE }],
  ['accepts at great length', { ...accept, body: HUGE }],
];

const NINE = Array.from({ length: 9 }, (_, index) => `healthy-${index + 1}`);
const TENTH = 'tenth';
const INVOICES = 30;

/** A circuit that opened again and again takes a while to close. */
const TIMEOUT_MS = 120_000;

describe('beside an endpoint that', () => {
  const billhook = useBillhook({
    BILLHOOK_RETRY_SCHEDULE: Array<string>(90).fill('300ms').join(','),
    BILLHOOK_DELIVERY_TIMEOUT: `${DEADLINE_MS}ms`,
  });

  async function runThroughInvoice(): Promise<Acknowledged[]> {
    const { invoiceId } = await billhook.invoices.create({ amount: dollars(5) });
    await billhook.invoices.update({ invoiceId, amount: dollars(6) });
    await billhook.invoices.pay({ invoiceId, amountReceived: dollars(6) });
    return [1, 2, 3].map((sequence) => ({ invoiceId, sequence }));
  }

  test.for(badNeighbours)('%s, nine get every event, and so does it later', async ([, bad]) => {
    const arrivals: Arrival[] = [];
    let mended = false;
    const answerAs =
      (endpoint: string): AnswerRequest =>
      (request) => {
        const answer = endpoint === TENTH && !mended && bad !== undefined ? bad : accept;
        arrivals.push(toArrival(endpoint, request, answer));
        return answer;
      };
    for (const name of NINE) {
      const { url } = await billhook.startReceiver({ answer: answerAs(name) });
      await billhook.register('*', url);
    }
    const tenth = await billhook.startReceiver({ answer: answerAs(TENTH) });
    await billhook.register('*', tenth.url);
    if (bad === undefined) await tenth.close();

    const runs = await Promise.all(Array.from({ length: INVOICES }, runThroughInvoice));
    const acknowledged = runs.flat();
    const findingsOf = (endpoints: readonly string[]) =>
      audit({ acknowledged, endpoints, arrivals, killedAtMs: [] });
    const missingAt = (endpoints: readonly string[]) => findingsOf(endpoints).missing;
    await expect.poll(() => missingAt(NINE), { timeout: TIMEOUT_MS }).toEqual([]);

    mended = true;
    if (bad === undefined) {
      await billhook.startReceiver({ port: tenth.port, answer: answerAs(TENTH) });
    }
    await expect.poll(() => missingAt([TENTH]), { timeout: TIMEOUT_MS }).toEqual([]);

    const { missing, reordered, differing } = findingsOf([...NINE, TENTH]);
    expect({ missing, reordered, differing }).toEqual({
      missing: [],
      reordered: [],
      differing: [],
    });
  });
});

/** An answer at the very deadline may be taken or not: then the event comes again. */
function toArrival(endpoint: string, request: ReceivedRequest, answer: ReceiverAnswer): Arrival {
  const { id, invoiceId, sequence, body } = readWebhook(request);
  return {
    endpoint,
    invoiceId,
    sequence,
    webhookId: id,
    bodyHash: body,
    accepted: answer.kind === 'respond' && answer.status === 200,
    arrivedAtMs: request.receivedAtMs,
  };
}
