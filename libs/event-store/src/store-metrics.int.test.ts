import { createMonitoring } from '@billhook/metrics';
import { useTestDatabase } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';

import {
  LANES,
  LIMIT,
  migrateCounters,
  openCounters,
  openPool,
  requestOf,
  SCHEMA,
} from './counters.fixture.ts';
import { prepareEventStore } from './prepare.ts';

const database = useTestDatabase();

test('commands are counted by their answers, batches by whether they were committed', async () => {
  const pool = openPool(database.connectionString);
  onTestFinished(() => pool.end());
  await migrateCounters(pool);
  const options = { schema: SCHEMA, lanes: LANES, requestIdRetentionMs: 60_000 };
  const prepared = await prepareEventStore(pool, options);
  onTestFinished(() => prepared.stop());
  const monitoring = createMonitoring();
  const store = openCounters(pool, { limits: { maxCommands: 3, maxBytes: 1_000 } }, monitoring);
  onTestFinished(() => store.stop());
  const move = (by: number, mark: string) =>
    store.execute(requestOf({ tenant: 'default', streamId: 'a', by, mark })).catch(() => undefined);

  const together = [move(1, 'a'), move(LIMIT, 'out of bounds'), move(1, 'throws')];
  await move(1, 'one too many');
  expect(await monitoring.text()).toContain('billhook_store_queued_commands{store="counter"} 3\n');
  await Promise.all(together);

  // The guilty one fails with its batch, and then alone; the others are committed together.
  const lines = (await monitoring.text()).split('\n');
  expect(lines.filter((line) => /^billhook_(?!.*_(bucket|sum){)/.test(line))).toEqual([
    'billhook_store_batches_total{store="counter",outcome="committed"} 1',
    'billhook_store_batches_total{store="counter",outcome="failed"} 2',
    'billhook_store_queued_commands{store="counter"} 0',
    'billhook_store_queued_commands_limit{store="counter"} 3',
    'billhook_store_queued_bytes{store="counter"} 0',
    'billhook_store_queued_limit_bytes{store="counter"} 1000',
    'billhook_store_commands_total{store="counter",code="OK"} 1',
    'billhook_store_commands_total{store="counter",code="RESOURCE_EXHAUSTED"} 1',
    'billhook_store_commands_total{store="counter",code="INTERNAL"} 1',
    'billhook_store_commands_total{store="counter",code="FAILED_PRECONDITION"} 1',
    'billhook_store_batch_commands_count{store="counter"} 3',
    'billhook_store_batch_duration_seconds_count{store="counter"} 3',
  ]);
});
