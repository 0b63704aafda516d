import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';

const ENGINE = fileURLToPath(new URL('../../', import.meta.url));
/** Each bug is found within so many seeds. */
const SEEDS = 300;
const TIMEOUT_MS = 120_000;
/** Most ways to a bug can be made as short as that, but not every one. */
const SHORT = 10;
const FIRST_SEEDS = [0, 100, 200];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'billhook-planted-'));
  await cp(ENGINE, folder, { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Changes the copy of the engine. An edit that does not fit any more is to be adapted. */
async function plant({ edits }: PlantedBug): Promise<void> {
  for (const { file, from, to } of edits) {
    const path = join(folder, file);
    const parts = (await readFile(path, 'utf8')).split(from);
    expect(parts, `${file} has this once: ${from}`).toHaveLength(2);
    await writeFile(path, parts.join(to));
  }
}

/** Returns what the simulator prints, and its exit code. */
function simulate(
  runs: number,
  firstSeed = 0,
): { readonly status: number | null; readonly stdout: string } {
  const main = join(folder, 'simulation', 'scenarios', 'main.ts');
  const options = { seeds: SEEDS, seed: firstSeed, runs };
  const args = [
    main,
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]),
  ];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

describe(`the simulator finds within ${SEEDS} seeds that`, () => {
  test.each(PLANTED_BUGS.map((bug) => [bug.what, bug] as const))(
    '%s',
    async (_, bug) => {
      await plant(bug);
      const { status, stdout } = simulate(0);
      expect(status, stdout).toBe(1);
      expect(stdout).toMatch(/^Seed \d+ fails: /);
    },
    TIMEOUT_MS,
  );
});

test(
  'the simulator prints the shortest way to a bug',
  async () => {
    const [bug] = PLANTED_BUGS;
    if (bug !== undefined) await plant(bug);
    const ways = FIRST_SEEDS.map((seed) => {
      const { stdout } = simulate(500, seed);
      const [, left, all] = /^(\d+) of (\d+) happenings are left:$/m.exec(stdout) ?? [];
      expect(stdout).toMatch(/^The last \d+ steps:$/m);
      expect(stdout).toMatch(/! Progress passed evt_\d+_\d+, which ep_\d+ has not got\./);
      return { left: Number(left), all: Number(all) };
    });
    const shortest = Math.min(...ways.map(({ left }) => left));
    expect(shortest).toBeLessThanOrEqual(SHORT);
    for (const { left, all } of ways) expect(left).toBeLessThan(all / 2);
  },
  TIMEOUT_MS,
);
