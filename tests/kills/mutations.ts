import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallFailure } from '../system/call-failure.ts';
import { dollars } from '../system/invoice-calls.ts';
import type { Invoice, InvoiceCalls } from '../system/invoice-calls.ts';
import type { Acknowledged } from './audit.ts';

/** A stream of mutations, as several clients make it that do not give up. */
export interface Mutations {
  /** Those that were answered OK so far. */
  readonly acknowledged: readonly Acknowledged[];
  /** What was answered instead to a call that had to succeed. Its invoice is left as it is. */
  readonly refusals: readonly string[];
  /** How many calls failed on the way, and were made again. */
  failures(): number;
  /** Lets each client come to the end of its invoice. */
  finish(): Promise<void>;
}

/** Updates of each invoice between its creation and its payment. */
const UPDATES = 3;

/** Each client waits so long after each answer, so that one machine can follow. */
const PAUSE_MS = 10;
const RETRY_AFTER_MS = 50;
const CALL_TIMEOUT_MS = 5_000;
const GIVE_UP_AFTER_MS = 60_000;

/** Codes of a service that is away, or whose answer was lost. */
const TRANSIENT_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED']);

/**
 * Starts so many clients. Each creates, updates and pays one invoice after the other; a call without
 * an answer is made again with the same `request_id` until it has one.
 */
export function startMutations(invoices: InvoiceCalls, clients: number): Mutations {
  const acknowledged: Acknowledged[] = [];
  const refusals: string[] = [];
  const finishing = new AbortController();
  let failures = 0;

  /** Returns whether it was done. */
  async function persist(call: () => Promise<Invoice>): Promise<boolean> {
    const giveUpAtMs = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      try {
        const { invoiceId, etag } = await call();
        acknowledged.push({ invoiceId, sequence: Number(etag) });
        return true;
      } catch (error) {
        if (!isTransient(error) || performance.now() > giveUpAtMs) {
          refusals.push(String(error));
          return false;
        }
        failures += 1;
        await sleep(RETRY_AFTER_MS);
      }
    }
  }

  async function runThroughInvoice(): Promise<void> {
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    const invoiceId = `inv-${randomUUID()}`;
    const named = () => ({ requestId: randomUUID(), invoiceId });
    const created = { ...named(), amount: dollars(100) };
    if (!(await persist(() => invoices.create(created, options)))) return;
    for (let update = 1; update <= UPDATES; update += 1) {
      await sleep(PAUSE_MS);
      const updated = { ...named(), amount: dollars(100 + update) };
      if (!(await persist(() => invoices.update(updated, options)))) return;
    }
    await sleep(PAUSE_MS);
    const paid = { ...named(), amountReceived: dollars(100) };
    await persist(() => invoices.pay(paid, options));
  }

  async function runClient(): Promise<void> {
    while (!finishing.signal.aborted) await runThroughInvoice();
  }

  const running = Promise.all(Array.from({ length: clients }, runClient));
  return {
    acknowledged,
    refusals,
    failures: () => failures,
    async finish() {
      finishing.abort();
      await running;
    },
  };
}

function isTransient(error: unknown): boolean {
  return error instanceof CallFailure && TRANSIENT_CODES.has(error.code);
}
