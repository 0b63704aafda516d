import { randomBytes } from 'node:crypto';
import { invoiceV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';

const CALL_TIMEOUT_MS = 60_000;

/** What a load did. */
export interface LoadResult {
  readonly mutations: number;
  readonly seconds: number;
}

/**
 * Creates invoices over gRPC, so many at a time.
 *
 * @throws when a call fails: a benchmark that loses calls measures something else.
 */
export async function createInvoices(
  target: string,
  options: { readonly mutations: number; readonly concurrency: number },
): Promise<LoadResult> {
  const client = createGrpcClient(invoiceV1.InvoiceServiceClient, target, { retryable: [] });
  const run = randomBytes(4).toString('hex');
  const startedAtMs = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < options.mutations) {
      next += 1;
      const request = {
        requestId: `${run}-${next}`,
        invoiceId: `bench-${run}-${next}`,
        amount: { currencyCode: 'USD', units: 200n, nanos: 0 },
        dueDate: undefined,
        description: undefined,
      };
      await call(client.createInvoice, request, { timeoutMs: CALL_TIMEOUT_MS });
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, work));
  } finally {
    client.close();
  }
  return { mutations: next, seconds: (performance.now() - startedAtMs) / 1_000 };
}
