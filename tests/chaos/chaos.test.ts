import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoKafka } from '@billhook/embedded-kafka';
import { expect, test } from 'vitest';
import { runChaos } from './chaos.ts';
import { summarise } from './summary.ts';

/** It has a kill, a freeze, and both inside a transaction, of what may send something twice. */
const SEED = 1;
const FAULTS = 9;

test.skipIf((await whyNoKafka()) !== undefined)(
  `after ${FAULTS} faults every acknowledged event has reached every endpoint, in order`,
  // Two minutes on a quiet machine.
  { timeout: 900_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'billhook-chaos-'));
    // Open to other users, because Postgres does not run as root.
    await chmod(folder, 0o755);
    const result = await runChaos({ seed: SEED, faults: FAULTS, folder, say: console.log });
    console.log(summarise(result));

    expect(result.complaints).toEqual([]);
    expect(result.acknowledged).toBeGreaterThan(0);
    await rm(folder, { recursive: true, force: true });
  },
);
