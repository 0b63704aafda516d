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
  const finishing = new AbortController();
  let failures = 0;

  async function persist(call: () => Promise<Invoice>): Promise<void> {
    const giveUpAtMs = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      try {
        const { invoiceId, etag } = await call();
        acknowledged.push({ invoiceId, sequence: Number(etag) });
        return;
      } catch (error) {
        failures += 1;
        if (!isTransient(error) || performance.now() > giveUpAtMs) throw error;
        await sleep(RETRY_AFTER_MS);
      }
    }
  }

  async function runClient(): Promise<void> {
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    while (!finishing.signal.aborted) {
      const invoiceId = `inv-${randomUUID()}`;
      const named = () => ({ requestId: randomUUID(), invoiceId });
      const created = { ...named(), amount: dollars(100) };
      await persist(() => invoices.create(created, options));
      for (let update = 1; update <= UPDATES; update += 1) {
        await sleep(PAUSE_MS);
        const updated = { ...named(), amount: dollars(100 + update) };
        await persist(() => invoices.update(updated, options));
      }
      await sleep(PAUSE_MS);
      const paid = { ...named(), amountReceived: dollars(100) };
      await persist(() => invoices.pay(paid, options));
    }
  }

  const running = Promise.all(Array.from({ length: clients }, runClient));
  // It is awaited by `finish`; until then a failure waits there.
  running.catch(() => undefined);
  return {
    acknowledged,
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
