import { expect, test } from 'vitest';
import { START } from '../postgres/relay-cursors.ts';
import { lacksBeginning } from './lost-beginning.ts';

const cursor = { position: 10, eventId: 'evt_1', offset: 9 };

test.each([
  ['is whole', { low: 0, high: 10 }, cursor, false],
  ['lost its first records', { low: 3, high: 10 }, cursor, true],
  ['lost everything', { low: 10, high: 10 }, cursor, true],
  ['lost its tail, too, and is filled again', { low: 3, high: 9 }, cursor, false],
  ['has all records again behind', { low: 3, high: 17 }, { ...cursor, offset: 16 }, false],
  ['is to be filled', { low: 3, high: 10 }, START, false],
])('a partition that %s lacks its beginning or not', (_, ends, known, isLost) => {
  expect(lacksBeginning(ends, known)).toBe(isLost);
});
