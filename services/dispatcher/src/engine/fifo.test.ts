import { expect, test } from 'vitest';

import { Fifo } from './fifo.ts';

test('items come out in the order in which they went in', () => {
  const fifo = new Fifo<number>();
  const taken: number[] = [];
  for (let item = 0; item < 1_000; item += 1) {
    fifo.push(item);
    if (item % 3 > 0) taken.push(fifo.shift() ?? -1);
  }
  expect(fifo.length).toBe(1_000 - taken.length);
  for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) taken.push(item);
  expect(taken).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
});

test('one that was emptied begins anew', () => {
  const fifo = new Fifo<number>();
  for (let item = 0; item < 100; item += 1) {
    fifo.push(item);
    fifo.push(-1);
    expect(fifo.shift()).toBe(item);
    if (item % 2 > 0) fifo.shift();
    fifo.clear();
    expect([fifo.length, fifo.first(), [...fifo]]).toEqual([0, undefined, []]);
  }
});

test('what was taken or cleared is kept no longer', () => {
  const fifo = new Fifo<{ body: string }>();
  for (const body of ['taken', 'kept']) fifo.push({ body });
  fifo.shift();
  expect(JSON.stringify(fifo)).not.toContain('taken');
  expect(JSON.stringify(fifo)).toContain('kept');
  fifo.clear();
  expect(JSON.stringify(fifo)).not.toContain('kept');
  expect(fifo.length).toBe(0);
});
