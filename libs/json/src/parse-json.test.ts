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
    ['1000.00000000000000001', 'number_not_exact'],
    ['-1234567890123450.01', 'number_not_exact'],
    ['9007199254740993', 'number_not_exact'],
    ['1e-400', 'number_not_exact'],
    ['1.2345678901234e-320', 'number_not_exact'],
  ])('such as %.40j has the fault %s', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  test.each([
    '{"a":{"a":1},"b":{"a":2}}',
    '{"a":"a","b":"a"}',
    '["a","a"]',
    '{"a":"\\"a\\":"}',
    '"1e999"',
    '[-0,1.5e-3,1E+5,0.000,-0e-999]',
    '[1.50,100000000000000000000,1234567890123450,0.100000000000000000000000,10e-1,0.1e+1]',
    '[9007199254740992,0.30000000000000004,5e-324,1.7976931348623157e308]',
    '['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH),
  ])('such as %s has none', (text) => {
    expect(faultOf(text)).toBe('none');
  });

  test.each([
    ['1e999', []],
    ['[0,[1,1e999]]', [1, 1]],
    ['{"a":{"b":1},"c":[{"d":[]},{"e":"\\",:","f":1e-999}]}', ['c', 1, 'f']],
    ['{"\\u0061":1e999}', ['a']],
  ])('such as %s has a number that is named by its place', (text, place) => {
    const parsed = parseJson(text, { maxDepth: MAX_DEPTH });
    expect(parsed).toMatchObject({ kind: 'invalid', fault: { place } });
  });

  test('has numbers with very many zeros judged as fast as others', () => {
    const zeros = '0'.repeat(60_000);
    const startedAtMs = performance.now();
    expect(faultOf(`1${zeros}1e-60001`)).toBe('number_not_exact');
    expect(faultOf(`[1${zeros}e-60000,0.${zeros}1e60001,1.${zeros}]`)).toBe('none');
    expect(performance.now() - startedAtMs).toBeLessThan(500);
  });

  test('has every number of 15 digits, and every double', () => {
    const decimals = fc.tuple(fc.integer(), fc.integer({ min: -20, max: 20 }));
    fc.assert(
      fc.property(decimals, fc.double({ noNaN: true }), ([digits, exponent], double) => {
        fc.pre(Number.isFinite(double));
        expect(faultOf(`[${digits}e${exponent},${JSON.stringify(double)}]`)).toBe('none');
      }),
    );
  });

  test('keeps a field named __proto__ a field, and changes no prototype', () => {
    const parsed = parseJson('{"__proto__":{"polluted":true}}', { maxDepth: MAX_DEPTH });
    const value: unknown = parsed.kind === 'valid' ? parsed.value : undefined;
    expect(Object.keys(Object(value))).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});
