import { expect, test } from 'vitest';

import { remember } from './remember.ts';

test('makes once what is asked for again, also nothing, and forgets all beyond its bound', () => {
  const made: string[] = [];
  const read = remember((text: string) => {
    made.push(text);
    return text === '' ? undefined : text.length;
  }, 2);

  expect(['a', '', 'a', ''].map(read)).toEqual([1, undefined, 1, undefined]);
  expect(made).toEqual(['a', '']);
  expect(['bc', 'bc', 'a'].map(read)).toEqual([2, 2, 1]);
  expect(made).toEqual(['a', '', 'bc', 'a']);
});
