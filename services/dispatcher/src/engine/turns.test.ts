import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Turns, type TurnTaker } from './turns.ts';

const CREDIT = 4_096;
const MAX_COST = 70_000;
/**
 * Whoever was given the same number of turns used the same but for the credit it has left, or the debt
 * that its last item made; and nobody is more than one turn ahead of another.
 */
const BOUND = 2 * CREDIT + MAX_COST;

interface Taker extends TurnTaker {
  readonly name: number;
  /** What its items cost, over and over. */
  readonly costs: readonly number[];
  taken: number;
  used: number;
}

const costs = fc.oneof(
  fc.array(fc.integer({ min: 1, max: MAX_COST }), { minLength: 1, maxLength: 10 }),
  fc.constantFrom([1_024], [MAX_COST], [1_024, MAX_COST]),
);
const tables = fc.array(costs, { minLength: 2, maxLength: 8 });

function createTakers(table: readonly (readonly number[])[]): Taker[] {
  return table.map((each, name) => {
    return { name, costs: each, taken: 0, used: 0, credit: 0, inRing: false };
  });
}

/** Whoever has the turn uses it for one item. */
function take(turns: Turns<Taker>): Taker {
  const taker = turns.next();
  if (taker === undefined) throw new Error('Nobody is there.');
  const cost = taker.costs[taker.taken % taker.costs.length] ?? 0;
  taker.taken += 1;
  taker.used += cost;
  taker.credit -= cost;
  return taker;
}

function spread(numbers: readonly number[]): number {
  return Math.max(...numbers) - Math.min(...numbers);
}

describe('takers of turns', () => {
  test('use the same over time, whatever single items cost', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 1, max: 1_000 }), (table, items) => {
        const turns = new Turns<Taker>(CREDIT);
        const takers = createTakers(table);
        for (const taker of takers) turns.join(taker);
        for (let item = 0; item < items; item += 1) {
          take(turns);
          expect(spread(takers.map(({ used }) => used))).toBeLessThanOrEqual(BOUND);
        }
      }),
    );
  });

  test('take turns one after the other when their items cost the same', () => {
    const turns = new Turns<Taker>(CREDIT);
    for (const taker of createTakers([[CREDIT], [CREDIT], [CREDIT]])) turns.join(taker);
    const order = Array.from({ length: 9 }, () => take(turns).name);
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test('use the same while they are there together, whoever else comes and goes', () => {
    // Who joins before an item is taken, and whether whoever has the turn leaves instead.
    const joins = fc.option(fc.nat({ max: 7 }), { nil: undefined });
    const happening = fc.record({ joins, leaves: fc.boolean() });
    fc.assert(
      fc.property(tables, fc.array(happening, { maxLength: 300 }), (table, happenings) => {
        const turns = new Turns<Taker>(CREDIT);
        const takers = createTakers(table);
        const meetings = new Meetings(takers);
        for (const happens of happenings) {
          const joining = takers[happens.joins ?? -1];
          if (joining !== undefined && !joining.inRing) {
            turns.join(joining);
            meetings.joined(joining);
          }
          if (turns.size === 0) continue;
          if (happens.leaves) {
            turns.next();
            turns.leave();
          } else {
            take(turns);
          }
          expect(meetings.widestDifference()).toBeLessThanOrEqual(2 * BOUND);
        }
        expect(turns.size).toBe(takers.filter(({ inRing }) => inRing).length);
      }),
    );
  });

  test('keep no credit when they leave, and all their debts', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_COST }), (cost) => {
        const turns = new Turns<Taker>(CREDIT);
        const [taker] = createTakers([[cost]]);
        if (taker === undefined) return;
        turns.join(taker);
        take(turns);
        const { credit } = taker;
        turns.leave();
        expect(taker.credit).toBe(Math.min(0, credit));
        turns.join(taker);
        turns.join(taker);
        expect(turns.size).toBe(1);
        expect(turns.next()).toBe(taker);
      }),
    );
  });
});

/** What two takers used since both are there, one against the other. */
class Meetings {
  private readonly takers: readonly Taker[];
  private readonly since = new Map<string, number>();

  constructor(takers: readonly Taker[]) {
    this.takers = takers;
  }

  /** From now on it is compared with whoever is there. */
  joined(taker: Taker): void {
    for (const other of this.takers) {
      this.since.set(keyOf(taker, other), taker.used - other.used);
      this.since.set(keyOf(other, taker), other.used - taker.used);
    }
  }

  widestDifference(): number {
    let widest = 0;
    for (const taker of this.takers) {
      for (const other of this.takers) {
        if (!taker.inRing || !other.inRing) continue;
        const before = this.since.get(keyOf(taker, other)) ?? 0;
        widest = Math.max(widest, taker.used - other.used - before);
      }
    }
    return widest;
  }
}

function keyOf(taker: Taker, other: Taker): string {
  return `${taker.name} ${other.name}`;
}
