import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test, vi } from 'vitest';

import { RACES } from '../checks/races.ts';
import { play } from './playing.ts';
import { reportOf } from './report.ts';
import { createScenario } from './scenario.ts';
import { playSeeds, type Seeds } from './seeds.ts';

const SEEDS = 600;
const REDUCE_RUNS = 300;
const SIMULATE = fileURLToPath(new URL('main.ts', import.meta.url));

describe(`in the worlds of ${SEEDS} seeds`, () => {
  let seeds: Seeds;
  beforeAll(() => {
    seeds = playSeeds(0, SEEDS);
  }, 300_000);

  test('every promise is kept after every step', () => {
    const { failed } = seeds;
    const report = failed === undefined ? [] : reportOf(failed, REDUCE_RUNS);
    expect(report.join('\n')).toBe('');
  }, 300_000);

  test.each(Object.entries(RACES))('%s: %s', (race) => {
    expect(seeds.races.of(race)).toBeGreaterThan(0);
  });
});

/** What a bug was in the way of, in worlds that hardly one seed in thousands makes. */
const ONCE_FAILED = [
  [800_499, 'rows that should have died are left in a lane that is handed over'],
  [804_368, 'an endpoint without rows lags while there is no room for further pairs'],
] as const;

test.each(ONCE_FAILED)('seed %i keeps every promise: %s', (seed) => {
  const { failed } = playSeeds(seed, 1);
  expect(failed === undefined ? '' : reportOf(failed, 0).join('\n')).toBe('');
});

describe('a seed', () => {
  test('makes the same run each time, also in another process', async () => {
    const hashes = Array.from({ length: 10 }, (_, seed) => play(createScenario(seed)).hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashes.map((_, seed) => play(createScenario(seed)).hash)).toEqual(hashes);
    const script = `
      import { play } from './playing.ts';
      import { createScenario } from './scenario.ts';
      const hashes = Array.from({ length: 10 }, (_, seed) => play(createScenario(seed)).hash);
      console.log(JSON.stringify(hashes));
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', script],
      { cwd: fileURLToPath(new URL('.', import.meta.url)) },
    );
    expect(JSON.parse(stdout)).toEqual(hashes);
  }, 60_000);

  test('decides alone: neither the engine nor its world knows a clock, or chance', () => {
    const spies = [
      vi.spyOn(Math, 'random'),
      vi.spyOn(Date, 'now'),
      vi.spyOn(performance, 'now'),
      vi.spyOn(process, 'hrtime'),
    ];
    for (let seed = 0; seed < 5; seed += 1) play(createScenario(seed));
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });
});

async function simulate(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [SIMULATE, ...args]);
  return stdout;
}

describe('npm run simulate', () => {
  test('says how often each race came, and how fast it was', async () => {
    const stdout = await simulate('--seeds', '3', '--seed', '7');
    expect(stdout).toContain('Every promise was kept.');
    expect(stdout).toContain('3 seeds from 7');
    for (const what of Object.values(RACES)) expect(stdout).toContain(what);
  });

  test.each([
    ['--seeds', 'many'],
    ['--seed', '1.5'],
    ['--seeds', '0'],
    ['--unknown', '1'],
  ])('refuses %s %s with its usage', async (...args) => {
    await expect(simulate(...args)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Usage: npm run simulate'),
    });
  });
});
