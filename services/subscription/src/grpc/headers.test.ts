import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ServiceError } from '@billhook/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { requireHeaders } from './headers.ts';

/** What is wrong, as `field REASON`; "OK" if nothing is. */
function violationOf(...headers: readonly { name: string; value: string }[]): string {
  try {
    requireHeaders(headers);
    return 'OK';
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const [violation] = error.fieldViolations;
    return `${violation?.field} ${violation?.reason}`;
  }
}

function many(count: number, value: string) {
  return Array.from({ length: count }, (_, index) => ({ name: `x-${index}`, value }));
}

describe('headers of its own', () => {
  test('are in lower case and in the order of their names', () => {
    const headers = [
      { name: 'X-Key', value: 'a b' },
      { name: 'Authorization', value: 'Bearer Zm9v' },
    ];
    expect(requireHeaders(headers)).toEqual([
      { name: 'authorization', value: 'Bearer Zm9v' },
      { name: 'x-key', value: 'a b' },
    ]);
  });

  test.each([
    'content-type',
    'Content-Length',
    'content-encoding',
    'content-anything',
    'host',
    'user-agent',
    'connection',
    'Keep-Alive',
    'transfer-encoding',
    'te',
    'trailer',
    'upgrade',
    'http2-settings',
    'expect',
    'traceparent',
    'tracestate',
    'proxy-authorization',
    'Proxy-Connection',
    'proxy-anything',
    'webhook-id',
    'WEBHOOK-SIGNATURE',
    'webhook-anything',
    'billhook-attempt',
  ])('must not be %s', (name) => {
    expect(violationOf({ name, value: 'x' })).toBe('headers[0].name HEADER_NAME_RESERVED');
  });

  test.each([
    'authorization',
    'cookie',
    'x-api-key',
    'x-webhook-id',
    'contents',
    "!#$%&'*+.^_`|~-",
  ])('may be %s', (name) => {
    expect(violationOf({ name, value: 'x' })).toBe('OK');
  });

  test.each([
    ['', 'x', 'headers[0].name FIELD_REQUIRED'],
    ['x y', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['x:', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    [':path', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['x\r\ny', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['x\n', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['ü', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    // A Kelvin sign, which lower case makes a "k".
    ['\u212aeep-alive', 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['x'.repeat(65), 'x', 'headers[0].name HEADER_NAME_INVALID'],
    ['x', '', 'headers[0].value FIELD_REQUIRED'],
    ['x', 'a\r\nhost: b', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a\n', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a\u0000', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a\tb', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a\u0085b', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a\u2028b', 'headers[0].value HEADER_VALUE_INVALID'],
    // Cut to one byte each, these would be a line break.
    ['x', 'a\u010d\u010ab', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', ' a', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a ', 'headers[0].value HEADER_VALUE_INVALID'],
    ['x', 'a'.repeat(4_097), 'headers[0].value HEADER_VALUE_TOO_LONG'],
  ])('of %j with %j are refused', (name, value, violation) => {
    expect(violationOf({ name, value })).toBe(violation);
  });

  test('have each name once, whatever the case', () => {
    const headers = ['a', 'X-Key', 'x-key'].map((name) => ({ name, value: 'x' }));
    expect(violationOf(...headers)).toBe('headers[2].name HEADER_NAME_REPEATED');
  });

  test('are bounded in number and together', () => {
    expect(violationOf(...many(20, 'x'))).toBe('OK');
    expect(violationOf(...many(21, 'x'))).toBe('headers TOO_MANY_HEADERS');
    expect(violationOf(...many(2, 'x'.repeat(3_069)))).toBe('OK');
    expect(violationOf(...many(2, 'x'.repeat(3_070)))).toBe('headers HEADERS_TOO_LARGE');
  });

  test('are repeated in no error', () => {
    const value = 'hidden\u0007';
    expect(() => requireHeaders([{ name: 'x', value }])).toThrow(/^(?!.*hidden)/s);
  });

  test('whatever they are, are refused or can be sent without changing the message', () => {
    const hostile = ['\r', '\n', '\0', '\t', ' ', ':', '\u0085', '\u010a', '\u2028', '\ud800'];
    const name = fc.string({ unit: fc.constantFrom('a', 'X', '-', ...hostile), maxLength: 4 });
    const value = fc.string({ unit: fc.constantFrom('a', 'é', '"', ...hostile), maxLength: 6 });
    fc.assert(
      fc.property(fc.array(fc.record({ name, value }), { maxLength: 4 }), (headers) => {
        if (violationOf(...headers) !== 'OK') return;
        for (const each of requireHeaders(headers)) {
          validateHeaderName(each.name);
          validateHeaderValue(each.name, each.value);
          expect(Buffer.from(each.value, 'latin1').toString('latin1')).toBe(each.value);
          expect(each.value).not.toMatch(/^ | $/);
        }
      }),
      { numRuns: 500 },
    );
  });
});
