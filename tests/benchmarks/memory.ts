import { createRestCalls } from '../system/rest-calls.ts';
import { createStandalone } from '../system/standalone.ts';
import { createInvoices } from './load.ts';
import { residentMegabytes } from './process-usage.ts';
import { startReceiver } from './receiver.ts';

const STEPS = 10;
const MUTATIONS_PER_STEP = 10_000;
const CONCURRENCY = 64;
const HEAP_LIMIT_MEGABYTES = 300;
const SAMPLE_EVERY_MS = 1_000;
const QUIET_MS = 20_000;

/** How much higher the second half of the steps may lie than the first, and still count as flat. */
const FLAT_WITHIN = 1.1;

/** The memory of the process in one step, with an endpoint that never answers beside a healthy one. */
export interface MemoryRow {
  /** All until the end of the step. */
  readonly mutations: number;
  /** Of these, what has reached the healthy endpoint. */
  readonly delivered: number;
  readonly medianMegabytes: number;
  readonly maxMegabytes: number;
}

/**
 * 100,000 mutations with one endpoint that never answers, under a heap limit: the process would end
 * if its heap grew with the backlog. What lies outside the heap is seen in the resident memory.
 */
export async function measureMemory(): Promise<MemoryRow[]> {
  const receiver = await startReceiver();
  const system = await createStandalone({
    BILLHOOK_LOG_LEVEL: 'error',
    NODE_OPTIONS: `--max-old-space-size=${HEAP_LIMIT_MEGABYTES}`,
  });
  const rows: MemoryRow[] = [];
  let samples: number[] = [];
  const sample = () => samples.push(residentMegabytes(system.pid()));
  let sampling: NodeJS.Timeout | undefined;
  try {
    await system.start();
    sampling = setInterval(sample, SAMPLE_EVERY_MS);
    const rest = createRestCalls(system.addresses.gateway);
    for (const path of ['/ok', '/hang']) await rest.register('*', receiver.origin + path);
    for (let step = 1; step <= STEPS; step += 1) {
      const mutations = step * MUTATIONS_PER_STEP;
      await createInvoices(system.addresses.invoice, {
        mutations: MUTATIONS_PER_STEP,
        concurrency: CONCURRENCY,
      });
      const delivered = await receiver.waitFor('/ok', mutations, QUIET_MS);
      sample();
      rows.push({
        mutations,
        delivered,
        medianMegabytes: median(samples),
        maxMegabytes: Math.max(...samples),
      });
      console.log(JSON.stringify(rows.at(-1)));
      samples = [];
    }
  } finally {
    clearInterval(sampling);
    await system.remove();
    receiver.close();
  }
  console.log(judge(rows));
  return rows;
}

/** Says whether the memory stays where it is; the first step is left out, because it warms up. */
function judge(rows: readonly MemoryRow[]): string {
  const medians = rows.slice(1).map(({ medianMegabytes }) => medianMegabytes);
  const middle = Math.floor(medians.length / 2);
  const before = median(medians.slice(0, middle));
  const after = median(medians.slice(middle));
  const verdict = after <= before * FLAT_WITHIN ? 'flat' : 'not flat';
  return `Memory is ${verdict}: ${before} MB in the first half, ${after} MB in the second.`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
