import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRetryAfterMs, toSnippet } from './rejection.ts';

const nowMs = Date.parse('2024-03-14T15:00:00.250Z');
const DAY_MS = 86_400_000;

describe('Retry-After', () => {
  test.each([
    ['seconds', '120', nowMs + 120_000],
    ['no seconds', '0', nowMs],
    ['more than 24 hours', '86401', nowMs + DAY_MS],
    ['an absurd number', '9'.repeat(400), nowMs + DAY_MS],
    ['a date', 'Thu, 14 Mar 2024 15:10:00 GMT', Date.parse('2024-03-14T15:10:00Z')],
    ['a date of RFC 850', 'Thursday, 14-Mar-24 15:10:00 GMT', Date.parse('2024-03-14T15:10:00Z')],
    ['a date of asctime', 'Thu Mar 14 15:10:00 2024', Date.parse('2024-03-14T15:10:00Z')],
    ['a date far away', 'Sun, 14 Mar 2094 15:10:00 GMT', nowMs + DAY_MS],
    ['a date that has passed', 'Thu, 14 Mar 2024 14:10:00 GMT', Date.parse('2024-03-14T14:10:00Z')],
  ])('is read from %s', (_name, retryAfter, expectedMs) => {
    expect(readRetryAfterMs({ status: 503, retryAfter }, nowMs)).toBe(expectedMs);
    expect(readRetryAfterMs({ status: 429, retryAfter }, nowMs)).toBe(expectedMs);
  });

  test.each(['', '-1', '1.5', '1e3', 'soon', '2024-03-14', 'Thu, 99 Mar 2024 15:10:00 GMT'])(
    'that says "%s" says nothing',
    (retryAfter) => {
      expect(readRetryAfterMs({ status: 503, retryAfter }, nowMs)).toBeUndefined();
    },
  );

  test('counts with 429 and 503 alone', () => {
    for (const status of [301, 400, 410, 500, 502]) {
      expect(readRetryAfterMs({ status, retryAfter: '1' }, nowMs)).toBeUndefined();
    }
  });
});

describe('a snippet', () => {
  test('is the text itself where it can be printed', () => {
    expect(toSnippet(Buffer.from('Miete, März: 1.550 € 💶'))).toBe('Miete, März: 1.550 € 💶');
  });

  test('escapes what cannot be printed or changes how the rest reads', () => {
    expect(toSnippet(Buffer.from('\u0000\u001b[31m\\\r\n\u202e\u2028'))).toBe(
      '\\u{0}\\u{1b}[31m\\\\\\u{d}\\n\\u{202e}\\u{2028}',
    );
  });

  test('holds no control character and no broken text whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
        const snippet = toSnippet(bytes);
        expect(snippet).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        expect(snippet.isWellFormed()).toBe(true);
        expect(snippet.length).toBeLessThanOrEqual(6 * bytes.length);
      }),
    );
  });
});
