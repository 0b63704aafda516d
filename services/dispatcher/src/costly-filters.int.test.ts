import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';

import { distinct, firstSeen, invoiceIds, useDispatchers } from './dispatchers.fixture.ts';

const dispatchers = useDispatchers({ lanes: 4 });
const { appendToEach, receive, register, start } = dispatchers;

const ENDPOINTS = 500;
const INVOICES = 100;
const EVENTS_EACH = 10;

/** As many tests as fit into a filter. None holds, and nothing is known of it before all are done. */
const COSTLY = {
  or: Array.from({ length: 72 }, () => ({ 'data.invoice_id': { lt: '2024-01-01T00:00:00Z' } })),
};

test('filters that are costly to judge keep the process from nothing else', async () => {
  const filtered = await receive();
  const open = await receive();
  for (let count = 0; count < ENDPOINTS; count += 1) register(filtered, { filter: COSTLY });
  register(open);
  const ids = invoiceIds(INVOICES);
  await appendToEach(ids, EVENTS_EACH);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  await start();
  const startedAtMs = performance.now();
  delay.enable();
  await open.waitFor(1, 20_000);
  const firstAfterMs = performance.now() - startedAtMs;
  await open.waitFor((requests) => distinct(requests) === INVOICES * EVENTS_EACH, 40_000);
  const allAfterMs = performance.now() - startedAtMs;
  delay.disable();
  expect(delay.max / 1e6).toBeLessThan(allAfterMs / 4);
  expect(firstAfterMs).toBeLessThan(allAfterMs / 2);
  const sequences = Array.from({ length: EVENTS_EACH }, (_, index) => index + 1);
  for (const id of ids) expect(firstSeen(open.requests, id)).toEqual(sequences);
  expect(filtered.requests).toEqual([]);
}, 60_000);
