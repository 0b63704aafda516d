import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_JSON_DEPTH, parseJsonBody } from './json-body.ts';
import { Problem } from './problem.ts';

describe('a JSON body', () => {
  it('is read as what JSON.stringify wrote, whatever that was', () => {
    const json = fc.jsonValue({ maxDepth: MAX_JSON_DEPTH - 2 });
    fc.assert(
      fc.property(json, fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(parseJsonBody(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('of any bytes is read, or refused as a problem', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const code = codeOf(Buffer.from(bytes));
        expect(code === undefined || code.length > 0).toBe(true);
      }),
    );
  });

  it.each([
    ['', 'empty_body'],
    [' ', 'invalid_json'],
    ['{', 'invalid_json'],
    ["{'a':1}", 'invalid_json'],
    ['{"a":1,}', 'invalid_json'],
    ['\uFEFF{}', 'invalid_json'],
    ['{"a":1,"a":2}', 'duplicate_field'],
    ['{"a":1,"\\u0061":2}', 'duplicate_field'],
    ['{"b":[{"a":1 , "a" :2}]}', 'duplicate_field'],
    ['{"__proto__":1,"__proto__":2}', 'duplicate_field'],
    ['['.repeat(MAX_JSON_DEPTH + 1) + ']'.repeat(MAX_JSON_DEPTH + 1), 'json_too_deep'],
    ['['.repeat(30_000) + ']'.repeat(30_000), 'json_too_deep'],
    ['['.repeat(60_000), 'invalid_json'],
    ['{"a":1e999}', 'number_too_large'],
    ['0.12345678901234567', 'number_not_exact'],
  ])('such as %.40j is refused as %s', (text, code) => {
    expect(codeOf(Buffer.from(text))).toBe(code);
  });

  it('that is not UTF-8 is refused', () => {
    expect(codeOf(Buffer.from([0x22, 0xff, 0x22]))).toBe('invalid_utf8');
  });

  it.each([
    ['{"a":{"a":1},"b":{"a":2}}'],
    ['{"a":"a","b":"a"}'],
    ['["a","a"]'],
    ['{"a":"\\"a\\":"}'],
    ['['.repeat(MAX_JSON_DEPTH) + ']'.repeat(MAX_JSON_DEPTH)],
  ])('such as %s is not mistaken for a bad one', (text) => {
    expect(parseJsonBody(Buffer.from(text))).toEqual(JSON.parse(text));
  });

  it('keeps a field named __proto__ a field, and changes no prototype', () => {
    const value = parseJsonBody(Buffer.from('{"__proto__":{"polluted":true}}'));
    expect(Object.keys(Object(value))).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});

/** @returns the code of the refusal, or undefined when the body is read. */
function codeOf(body: Buffer): string | undefined {
  try {
    parseJsonBody(body);
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}
