import { randomInt } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { whyNoKafka } from '@billhook/embedded-kafka';
import { runChaos } from './chaos.ts';
import { summarise, summaryByKind } from './summary.ts';

const MAX_SEED = 1_000_000;
const DEFAULT_FAULTS = '50';

/**
 * Breaks a cluster on purpose: `npm run chaos -- [--seed N] [--faults N]`. It ends with 0 only if
 * nothing was lost, out of order, or sent twice without a fault that explains it.
 */
const { seed, faults } = readArguments();
const missing = await whyNoKafka();
if (!Number.isInteger(seed) || !Number.isInteger(faults) || faults < 1) {
  console.error('Usage: npm run chaos -- [--seed NUMBER] [--faults NUMBER]');
  process.exitCode = 2;
} else if (missing !== undefined) {
  console.error(missing);
  process.exitCode = 2;
} else {
  process.exitCode = await run();
}

/** @returns what is no number as NaN. */
function readArguments(): { readonly seed: number; readonly faults: number } {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', default: String(randomInt(MAX_SEED)) },
        faults: { type: 'string', default: DEFAULT_FAULTS },
      },
    });
    return { seed: Number(values.seed), faults: Number(values.faults) };
  } catch {
    return { seed: NaN, faults: NaN };
  }
}

/** @returns the exit code. */
async function run(): Promise<number> {
  console.log(`seed ${seed}, ${faults} faults`);
  const folder = await mkdtemp(join(tmpdir(), 'billhook-chaos-'));
  await chmod(folder, 0o755);
  const result = await runChaos({ seed, faults, folder, say });
  console.table(summaryByKind(result));
  for (const complaint of result.complaints) console.log(`WRONG: ${complaint}`);
  const isGood = result.complaints.length === 0;
  if (isGood) await rm(folder, { recursive: true, force: true });
  else console.log(`The state and the log of this run are in ${folder}`);
  console.log(summarise(result));
  return isGood ? 0 : 1;
}

function say(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`);
}
