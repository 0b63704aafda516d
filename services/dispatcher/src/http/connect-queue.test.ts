import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ConnectQueue } from './connect-queue.ts';

test('begins nothing before what is being done now, and then all in order', async () => {
  const queue = new ConnectQueue();
  const begun: number[] = [];
  const all = Array.from({ length: 100 }, (_, index) => index);
  for (const index of all) queue.add(() => begun.push(index));
  expect(begun).toEqual([]);
  while (begun.length < all.length) await nextTurn();
  expect(begun).toEqual(all);
});

test('begins a few at a time, and what these ask for comes after all others', async () => {
  const queue = new ConnectQueue();
  const perTurn: number[] = [];
  let inTurn = 0;
  let toFollow = 10;
  const begin = (): void => {
    inTurn += 1;
    toFollow -= 1;
    if (toFollow >= 0) queue.add(begin);
  };
  for (let index = 0; index < 20; index += 1) queue.add(begin);
  for (let turn = 0; turn < 8; turn += 1) {
    await nextTurn();
    perTurn.push(inTurn);
    inTurn = 0;
  }
  expect(perTurn.filter((count) => count > 0)).toEqual([8, 8, 8, 6]);
});
