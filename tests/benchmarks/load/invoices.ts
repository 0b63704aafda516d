import { setTimeout as sleep } from 'node:timers/promises';
import { invoiceV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import { microsecondsNow, secondsSince } from '../measuring/clock.ts';
import { summariseLatencies } from '../measuring/spread.ts';
import type { Latencies } from '../measuring/spread.ts';
import { createStamp } from './stamp.ts';

/** What a load did. All its calls have succeeded. */
export interface LoadResult {
  readonly mutations: number;
  readonly startedAtMicros: number;
  readonly seconds: number;
  /** From the call to its answer. */
  readonly latencies: Latencies;
}

/** A client that creates invoices. A call that fails ends the load: less would have been measured. */
export interface InvoiceLoad extends Disposable {
  /** So many at a time, each client waiting for its answer before it calls again. */
  create(load: { readonly mutations: number; readonly concurrency: number }): Promise<LoadResult>;
  /** At a fixed rate, whatever the answers take: a slow system is not spared for being slow. */
  offer(load: { readonly perSecond: number; readonly seconds: number }): Promise<LoadResult>;
}

const CALL_TIMEOUT_MS = 60_000;
const TICK_MS = 1;
/** How late a call may be made because of the timer alone: this much is not the system's doing. */
const TIMER_MICROS = 1_500;
/** A system that has fallen so far behind does not keep up with the rate. */
const MOST_UNDER_WAY = 20_000;

/** Opens a client; `target` is what it dials. */
export function openInvoiceLoad(target: string): InvoiceLoad {
  const client = createGrpcClient(invoiceV1.InvoiceServiceClient, target, { retryable: [] });

  async function createOne(invoiceId: string, latenciesMs: number[]): Promise<void> {
    const request = {
      requestId: invoiceId,
      invoiceId,
      amount: { currencyCode: 'USD', units: 200n, nanos: 0 },
      dueDate: undefined,
      description: undefined,
    };
    const calledAtMs = performance.now();
    await call(client.createInvoice, request, { timeoutMs: CALL_TIMEOUT_MS });
    latenciesMs.push(performance.now() - calledAtMs);
  }

  return {
    async create({ mutations, concurrency }) {
      const stamp = createStamp();
      const latenciesMs: number[] = [];
      const startedAtMicros = microsecondsNow();
      let begun = 0;
      const work = async (): Promise<void> => {
        while (begun < mutations) {
          begun += 1;
          await createOne(stamp(), latenciesMs);
        }
      };
      await Promise.all(Array.from({ length: concurrency }, work));
      return resultOf(startedAtMicros, latenciesMs);
    },

    async offer({ perSecond, seconds }) {
      const stamp = createStamp();
      const latenciesMs: number[] = [];
      const mutations = Math.round(perSecond * seconds);
      const gapMicros = 1_000_000 / perSecond;
      const startedAtMicros = microsecondsNow();
      const dueAtMicros = (index: number) => startedAtMicros + index * gapMicros;
      const failures: unknown[] = [];
      const calls: Promise<unknown>[] = [];
      while (calls.length < mutations) {
        const nowMicros = microsecondsNow();
        while (calls.length < mutations && dueAtMicros(calls.length) <= nowMicros) {
          const stampMicros = Math.min(nowMicros, dueAtMicros(calls.length) + TIMER_MICROS);
          const creating = createOne(stamp(Math.round(stampMicros)), latenciesMs);
          calls.push(creating.catch((error: unknown) => failures.push(error)));
        }
        if (failures.length > 0) throw failures[0];
        if (calls.length - latenciesMs.length > MOST_UNDER_WAY) {
          throw new Error(`${perSecond} mutations a second are more than the system takes`);
        }
        await sleep(TICK_MS);
      }
      await Promise.all(calls);
      if (failures.length > 0) throw failures[0];
      return resultOf(startedAtMicros, latenciesMs);
    },

    [Symbol.dispose]: () => client.close(),
  };
}

function resultOf(startedAtMicros: number, latenciesMs: readonly number[]): LoadResult {
  return {
    mutations: latenciesMs.length,
    startedAtMicros,
    seconds: secondsSince(startedAtMicros),
    latencies: summariseLatencies(latenciesMs),
  };
}
