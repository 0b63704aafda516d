import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodePageToken, encodePageToken, pageSize } from './paging.ts';

const scope = { kind: 'invoices', filter: ['default', 'paid'] };
const ANYTHING = /^/;

describe('the size of a page', () => {
  test.each([
    [0, 50],
    [1, 1],
    [1_000, 1_000],
    [2_147_483_647, 1_000],
  ])('asked for as %i is %i', (requested, size) => {
    expect(pageSize(requested, { default: 50, max: 1_000 })).toBe(size);
  });

  test('cannot be negative', () => {
    expect(() => pageSize(-1, { default: 50, max: 1_000 })).toThrow(/page_size/);
  });
});

describe('a page token', () => {
  test('gives back what was put into it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (after) => {
        const patterns = after.map(() => ANYTHING);
        expect(decodePageToken(scope, encodePageToken(scope, after), patterns)).toEqual(after);
      }),
    );
  });

  test('that is empty asks for the first page', () => {
    expect(decodePageToken(scope, '', [ANYTHING])).toBeUndefined();
  });

  test.each([
    { kind: 'events', filter: ['default', 'paid'] },
    { kind: 'invoices', filter: ['other', 'paid'] },
    { kind: 'invoices', filter: [] },
  ])('of another list is refused: %j', (other) => {
    const token = encodePageToken(other, ['a']);
    expect(() => decodePageToken(scope, token, [ANYTHING])).toThrow(/page_token/);
  });

  test.each([[[]], [['a']], [['A', '1']], [['a', '']], [['a', '1', '1']]])(
    'that names something else is refused: %j',
    (after) => {
      const token = encodePageToken(scope, after);
      const patterns = [/^[a-z]$/, /^[0-9]$/];
      expect(() => decodePageToken(scope, token, patterns)).toThrow(/page_token/);
      expect(decodePageToken(scope, encodePageToken(scope, ['a', '1']), patterns)).toBeDefined();
    },
  );

  test('that was made up is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.json()), (made) => {
        const token = Buffer.from(made).toString('base64url');
        expect(() => decodePageToken(scope, token, [ANYTHING])).toThrow(/page_token/);
        expect(() => decodePageToken(scope, made, [ANYTHING])).toThrow(/page_token/);
      }),
    );
  });
});
