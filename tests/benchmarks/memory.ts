import { createStandalone } from '../system/standalone.ts';
import { createRestCalls } from '../system/rest-calls.ts';
import { createInvoices } from './load.ts';
import { residentMegabytes } from './process-usage.ts';
import { startReceiver } from './receiver.ts';

const STEPS = 10;
const MUTATIONS_PER_STEP = 10_000;
const CONCURRENCY = 64;
const HEAP_LIMIT_MEGABYTES = 300;
const QUIET_MS = 20_000;

/** The memory after so many mutations, with an endpoint that never answers beside a healthy one. */
export interface MemoryRow {
  readonly mutations: number;
  readonly delivered: number;
  readonly residentMegabytes: number;
}

/**
 * 100,000 mutations with one endpoint that never answers, under a heap limit: the process would end
 * if memory grew with the backlog.
 */
export async function measureMemory(): Promise<MemoryRow[]> {
  const receiver = await startReceiver();
  const system = await createStandalone({
    BILLHOOK_LOG_LEVEL: 'error',
    NODE_OPTIONS: `--max-old-space-size=${HEAP_LIMIT_MEGABYTES}`,
  });
  const rows: MemoryRow[] = [];
  try {
    await system.start();
    const rest = createRestCalls(system.addresses.gateway);
    for (const path of ['/ok', '/hang']) await rest.register('*', receiver.origin + path);
    for (let step = 1; step <= STEPS; step += 1) {
      const mutations = step * MUTATIONS_PER_STEP;
      await createInvoices(system.addresses.invoice, {
        mutations: MUTATIONS_PER_STEP,
        concurrency: CONCURRENCY,
      });
      const delivered = await receiver.waitFor('/ok', mutations, QUIET_MS);
      rows.push({ mutations, delivered, residentMegabytes: residentMegabytes(system.pid()) });
    }
  } finally {
    await system.remove();
    receiver.close();
  }
  return rows;
}
