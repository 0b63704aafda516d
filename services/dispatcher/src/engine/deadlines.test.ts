import { expect, test } from 'vitest';

import { Deadlines } from './deadlines.ts';
import { createRandom } from './simulation/random.ts';

test('what is due is taken once, the earliest first', () => {
  const deadlines = new Deadlines<object>();
  const [late, early, later] = [{}, {}, {}];
  deadlines.note(late, 30);
  deadlines.note(early, 40);
  deadlines.note(later, 50);
  deadlines.note(early, 10);
  deadlines.note(early, 60);
  expect(deadlines.earliestMs()).toBe(10);
  expect(deadlines.takeDue(30)).toEqual([early, late]);
  expect(deadlines.takeDue(30)).toEqual([]);
  expect(deadlines.earliestMs()).toBe(50);
});

test('nothing grows however often something is noted, taken or forgotten', () => {
  const deadlines = new Deadlines<object>();
  const items = Array.from({ length: 20 }, () => ({}));
  const known = new Map<object, number>();
  const note = (item: object, atMs: number): void => {
    deadlines.note(item, atMs);
    known.set(item, Math.min(atMs, known.get(item) ?? Infinity));
  };
  const random = createRandom(1);
  for (let nowMs = 0; nowMs < 5_000; nowMs += 1) {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) continue;
    // First what is due in a day, as of a failed delivery, then what is due now.
    note(item, nowMs + 86_400_000);
    if (random() < 0.1) {
      deadlines.forget(item);
      known.delete(item);
    } else {
      note(item, nowMs + Math.floor(random() * 20));
    }
    expect(deadlines.earliestMs()).toBe(Math.min(...known.values()));
    for (const due of deadlines.takeDue(nowMs)) {
      expect(known.get(due)).toBeLessThanOrEqual(nowMs);
      known.delete(due);
    }
    expect(deadlines.size).toBe(known.size);
  }
});
