import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from './parse-json.ts';

const MAX_DEPTH = 8;

function faultOf(text: string): string {
  const parsed = parseJson(text, { maxDepth: MAX_DEPTH });
  return parsed.kind === 'valid' ? 'none' : parsed.fault.kind;
}

describe('a JSON text', () => {
  test('is read as what JSON.stringify wrote, whatever that was', () => {
    const json = fc.jsonValue({ maxDepth: MAX_DEPTH - 2 });
    fc.assert(
      fc.property(json, fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        const parsed = parseJson(text, { maxDepth: MAX_DEPTH });
        expect(parsed).toEqual({ kind: 'valid', value: JSON.parse(text) });
      }),
    );
  });

  test.each([
    ['', 'not_json'],
    ['{"a":1,}', 'not_json'],
    ['NaN', 'not_json'],
    ['['.repeat(60_000), 'not_json'],
    ['{"a":1,"a":2}', 'repeated_name'],
    ['{"a":1,"\\u0061":2}', 'repeated_name'],
    ['{"b":[{"a":1 , "a" :2}]}', 'repeated_name'],
    ['{"__proto__":1,"__proto__":2}', 'repeated_name'],
    ['['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1), 'too_deep'],
    ['1e999', 'number_too_large'],
    ['[0,-1E+309]', 'number_too_large'],
    [`{"a":${'9'.repeat(400)}}`, 'number_too_large'],
  ])('such as %.40j has the fault %s', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  test.each([
    '{"a":{"a":1},"b":{"a":2}}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":"\\"a\\":"}',
    '"1e999"',
    '[-0,1.5e-3,1E+5,1e-999]',
    '['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH),
  ])('such as %s has none', (text) => {
    expect(faultOf(text)).toBe('none');
  });

  test('keeps a field named __proto__ a field, and changes no prototype', () => {
    const parsed = parseJson('{"__proto__":{"polluted":true}}', { maxDepth: MAX_DEPTH });
    const value: unknown = parsed.kind === 'valid' ? parsed.value : undefined;
    expect(Object.keys(Object(value))).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});
