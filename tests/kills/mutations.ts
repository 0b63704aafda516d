import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallFailure } from '../system/call-failure.ts';
import { dollars } from '../system/invoice-calls.ts';
import type { CreateRequest, Invoice, InvoiceCalls } from '../system/invoice-calls.ts';
import type { CallOptions } from '../system/reflected-client.ts';
import type { Acknowledged } from './audit.ts';

/** A stream of mutations, as several clients make it that do not give up. */
export interface Mutations {
  /** Those that were answered OK so far. */
  readonly acknowledged: readonly Acknowledged[];
  /** What was answered instead to a call that had to succeed. Its invoice is left as it is. */
  readonly refusals: readonly string[];
  /** How many calls failed on the way, and were made again. */
  failures(): number;
  /** Creates an invoice beside those of the clients. Returns whether it was done. */
  create(invoiceId: string): Promise<boolean>;
  /** Lets each client come to the end of its invoice. */
  finish(): Promise<void>;
}

export interface MutationOptions {
  readonly clients: number;
  /** Each client waits so long after each answer, so that one machine can follow. */
  readonly pauseMs?: number;
  /** After so long without an answer a call is made again. */
  readonly callTimeoutMs?: number;
}

/** Updates of each invoice between its creation and its payment. */
const UPDATES = 3;

const PAUSE_MS = 10;
const CALL_TIMEOUT_MS = 5_000;
const RETRY_AFTER_MS = 50;
const GIVE_UP_AFTER_MS = 60_000;

/** Codes of a service that is away, or whose answer was lost. */
const TRANSIENT_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED']);

/**
 * Starts so many clients. Each creates, updates and pays one invoice after the other; a call without
 * an answer is made again with the same `request_id` until it has one.
 */
export function startMutations(invoices: InvoiceCalls, options: MutationOptions): Mutations {
  const { clients, pauseMs = PAUSE_MS, callTimeoutMs = CALL_TIMEOUT_MS } = options;
  const acknowledged: Acknowledged[] = [];
  const refusals: string[] = [];
  const finishing = new AbortController();
  let failures = 0;

  /** Returns whether it was done. */
  async function persist(call: (options: CallOptions) => Promise<Invoice>): Promise<boolean> {
    const giveUpAtMs = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      try {
        const { invoiceId, etag } = await call({ timeoutMs: callTimeoutMs });
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

  function create(invoiceId: string): Promise<boolean> {
    const request: CreateRequest = { requestId: randomUUID(), invoiceId, amount: dollars(100) };
    return persist((call) => invoices.create(request, call));
  }

  async function runThroughInvoice(): Promise<void> {
    const invoiceId = `inv-${randomUUID()}`;
    const named = () => ({ requestId: randomUUID(), invoiceId });
    if (!(await create(invoiceId))) return;
    for (let update = 1; update <= UPDATES; update += 1) {
      await sleep(pauseMs);
      const updated = { ...named(), amount: dollars(100 + update) };
      if (!(await persist((call) => invoices.update(updated, call)))) return;
    }
    await sleep(pauseMs);
    const paid = { ...named(), amountReceived: dollars(100) };
    await persist((call) => invoices.pay(paid, call));
  }

  async function runClient(): Promise<void> {
    while (!finishing.signal.aborted) await runThroughInvoice();
  }

  const running = Promise.all(Array.from({ length: clients }, runClient));
  return {
    acknowledged,
    refusals,
    failures: () => failures,
    create,
    async finish() {
      finishing.abort();
      await running;
    },
  };
}

function isTransient(error: unknown): boolean {
  return error instanceof CallFailure && TRANSIENT_CODES.has(error.code);
}
