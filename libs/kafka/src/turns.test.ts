import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

const BACKLOG = 10_000;

it('lets partitions without a backlog be fetched at any time', () => {
  const turns = new Turns();
  for (const partition of all()) turns.waiting(partition, 10);
  expect(on(turns)).toEqual(all());
});

it('lets a few with a backlog be fetched at once, and each in its turn', () => {
  const turns = new Turns();
  for (const partition of all()) turns.waiting(partition, BACKLOG);
  const served = new Set<number>();
  while (served.size < all().length) {
    expect(on(turns)).toHaveLength(2);
    const next = on(turns).find((partition) => !served.has(partition)) ?? -1;
    expect(next).toBe(served.size);
    served.add(next);
    turns.waiting(next, BACKLOG);
  }
});

it('ends the turn of one that brings nothing', () => {
  const turns = new Turns();
  for (const partition of all()) turns.waiting(partition, BACKLOG);
  expect(on(turns)).toEqual([0, 1]);
  turns.tick(0);
  turns.tick(999);
  expect(on(turns)).toEqual([0, 1]);
  turns.tick(1_000);
  expect(on(turns)).toEqual([2, 3]);
});

it('lets the next one go when one has caught up or leaves', () => {
  const turns = new Turns();
  for (const partition of all()) turns.waiting(partition, BACKLOG);
  turns.waiting(1, 0);
  turns.leave(2);
  expect(on(turns)).toEqual([0, 1, 2, 3]);
});

function on(turns: Turns): number[] {
  return all().filter((partition) => turns.isOn(partition));
}

function all(): number[] {
  return Array.from({ length: 10 }, (_, partition) => partition);
}
