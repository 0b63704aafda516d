import { describe, expect, test } from 'vitest';
import { kindOf, planFaults } from './plan.ts';

const copies = { subscription: 2, invoice: 2, dispatcher: 3, gateway: 2 };
const seeds = Array.from({ length: 50 }, (_, index) => index);

describe('a plan of faults', () => {
  test('depends on nothing but the seed', () => {
    const plan = planFaults({ seed: 7, faults: 50, copies });

    expect(planFaults({ seed: 7, faults: 50, copies })).toEqual(plan);
    expect(planFaults({ seed: 8, faults: 50, copies })).not.toEqual(plan);
    expect(plan).toHaveLength(50);
  });

  test('begins with the same faults when it is longer', () => {
    const longer = planFaults({ seed: 7, faults: 50, copies });

    expect(planFaults({ seed: 7, faults: 9, copies })).toEqual(longer.slice(0, 9));
  });

  test.for(seeds)('of 50 faults has every kind that matters: seed %i', (seed) => {
    const kinds = new Set(planFaults({ seed, faults: 50, copies }).map(kindOf));

    expect([...kinds]).toEqual(
      expect.arrayContaining([
        ...['subscription', 'invoice', 'dispatcher', 'gateway', 'broker', 'postgres'].map(
          (target) => `kill ${target}`,
        ),
        ...['invoice', 'dispatcher', 'broker', 'postgres'].map((target) => `freeze ${target}`),
        ...['invoice', 'dispatcher'].map((target) => `freeze-inside ${target}`),
        'join dispatcher',
        'leave dispatcher',
        'delete-topic topic',
      ]),
    );
  });

  test.for(seeds)('hits only who runs, and lets only those join who do not: seed %i', (seed) => {
    const running = new Set(['broker', 'postgres', 'topic']);
    for (const [service, count] of Object.entries(copies)) {
      for (let copy = 1; copy <= count; copy += 1) running.add(`${service}-${copy}`);
    }
    for (const { action, victim } of planFaults({ seed, faults: 100, copies })) {
      expect(running.has(victim)).toBe(action !== 'join');
      if (action === 'join') running.add(victim);
      if (action === 'leave') running.delete(victim);
    }
  });
});
