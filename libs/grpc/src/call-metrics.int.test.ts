import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMonitoring } from '@billhook/metrics';
import type { Monitoring } from '@billhook/metrics';
import { ServiceError } from '@billhook/runtime';
import { expect, test } from 'vitest';
import { call, openStream } from './client.ts';
import {
  answer,
  createInvoiceClient,
  createSubscriptionClient,
  getInvoiceBytes,
  message,
  sendCall,
  startTestServer,
} from './servers.fixture.ts';

const timeoutMs = 5_000;
const GET = 'service="billhook.invoice.v1.InvoiceService",method="GetInvoice"';
const WATCH = 'service="billhook.subscription.v1.SubscriptionService",method="Watch"';

/** The lines of the metrics of one method, without those of single buckets. */
async function linesOf(monitoring: Monitoring, method: string): Promise<readonly string[]> {
  const lines = (await monitoring.text()).split('\n');
  return lines
    .filter((line) => line.includes(method) && !line.includes('_bucket') && !line.includes('_sum'))
    .map((line) => line.replace(method, ''));
}

test('calls are counted by their codes, and measured', async () => {
  const monitoring = createMonitoring();
  const server = await startTestServer({
    monitoring,
    async getInvoice({ invoiceId }, { signal }) {
      if (invoiceId === 'away') throw new ServiceError('NOT_FOUND', 'AWAY', 'it is away');
      if (invoiceId === 'broken') throw new Error('broken');
      if (invoiceId === 'slow') await once(signal, 'abort');
      return answer(invoiceId);
    },
  });
  const client = createInvoiceClient(server.address);
  await call(client.getInvoice, { invoiceId: 'there' }, { timeoutMs });
  for (const invoiceId of ['away', 'broken']) {
    await expect(call(client.getInvoice, { invoiceId }, { timeoutMs })).rejects.toThrow();
  }
  await sendCall(server.address, { 'grpc-timeout': '100m' }, getInvoiceBytes('slow'));
  const abort = new AbortController();
  const options = { timeoutMs, signal: abort.signal };
  const givenUp = call(client.getInvoice, { invoiceId: 'slow' }, options);
  await sleep(100);
  expect(await linesOf(monitoring, GET)).toContain('billhook_grpc_active_calls{} 1');
  abort.abort();
  await expect(givenUp).rejects.toThrow();
  await expect
    .poll(() => linesOf(monitoring, GET))
    .toEqual([
      'billhook_grpc_active_calls{} 0',
      'billhook_grpc_calls_total{,code="OK"} 1',
      'billhook_grpc_calls_total{,code="NOT_FOUND"} 1',
      'billhook_grpc_calls_total{,code="INTERNAL"} 1',
      'billhook_grpc_calls_total{,code="DEADLINE_EXCEEDED"} 1',
      'billhook_grpc_calls_total{,code="CANCELLED"} 1',
      'billhook_grpc_call_duration_seconds_count{} 5',
    ]);
});

test('a stream is under way until it ends', async () => {
  const monitoring = createMonitoring();
  const server = await startTestServer({
    monitoring,
    async *watch(_request, { signal }) {
      yield message(1);
      await once(signal, 'abort');
      signal.throwIfAborted();
    },
  });
  const client = createSubscriptionClient(server.address);
  const abort = new AbortController();
  const request = { revision: 0n, eventId: '', format: 0 };
  const [left, stopped] = [
    openStream(client.watch, request, { signal: abort.signal }),
    openStream(client.watch, request),
  ];
  await left.next();
  await stopped.next();
  expect(await linesOf(monitoring, WATCH)).toContain('billhook_grpc_active_calls{} 2');
  abort.abort();
  await expect(left.next()).rejects.toThrow();
  const ended = expect(stopped.next()).rejects.toThrow();
  await expect.poll(() => linesOf(monitoring, WATCH)).toContain('billhook_grpc_active_calls{} 1');
  await server.stop(timeoutMs);
  await ended;
  expect(await linesOf(monitoring, WATCH)).toEqual([
    'billhook_grpc_active_calls{} 0',
    'billhook_grpc_calls_total{,code="OK"} 0',
    'billhook_grpc_calls_total{,code="CANCELLED"} 1',
    'billhook_grpc_calls_total{,code="UNAVAILABLE"} 1',
  ]);
});
