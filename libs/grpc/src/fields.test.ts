import { ServiceError } from '@billhook/runtime';
import { describe, expect, test } from 'vitest';
import { requirePattern, requireText } from './fields.ts';

const rule = { field: 'description', maxLength: 3 };

describe('a text', () => {
  test.each(['', 'abc', 'äöü', '😀😀😀', '\u{fffd}'])('may be "%s"', (text) => {
    expect(requireText(text, rule)).toBe(text);
  });

  test.each([
    ['abcd', 'TEXT_TOO_LONG'],
    ['😀😀😀😀', 'TEXT_TOO_LONG'],
    ['a\0', 'TEXT_HAS_CONTROL_CHARACTER'],
    ['a\n', 'TEXT_HAS_CONTROL_CHARACTER'],
    ['\u007f', 'TEXT_HAS_CONTROL_CHARACTER'],
    ['\u0085', 'TEXT_HAS_CONTROL_CHARACTER'],
  ])('%j is refused with %s', (text, reason) => {
    const violation = expect.objectContaining({ field: 'description', reason });
    expect(refusalOf(() => requireText(text, rule))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason,
      fieldViolations: [violation],
    });
  });
});

describe('an id', () => {
  const pattern = /^[a-z]+$/;

  test('is returned when it matches', () => {
    expect(requirePattern('abc', { field: 'invoice_id', pattern })).toBe('abc');
  });

  test.each([
    ['', 'FIELD_REQUIRED'],
    ['A', 'FIELD_INVALID'],
    ['a\n', 'FIELD_INVALID'],
  ])('%j is refused with %s', (value, reason) => {
    const refuse = () => requirePattern(value, { field: 'invoice_id', pattern });
    expect(refusalOf(refuse)).toMatchObject({ code: 'INVALID_ARGUMENT', reason });
  });
});

function refusalOf(check: () => unknown): ServiceError | undefined {
  try {
    check();
  } catch (error) {
    return error instanceof ServiceError ? error : undefined;
  }
  return undefined;
}
