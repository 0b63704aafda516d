import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { MAX_FILTER_CHARACTERS, parseFilter } from './parse-filter.ts';
import type { Filter } from './parse-filter.ts';
import { MAX_DEPTH, MAX_TERMS } from './read-condition.ts';

const paid = {
  event: 'invoice_paid',
  data: {
    invoice_id: '2024-17',
    status: 'paid',
    amount_received: 1550.5,
    currency: 'USD',
    paid_at: '2024-03-20T10:00:00.120Z',
  },
};
const updated = {
  event: 'invoice_updated',
  data: { invoice_id: '2024-17', updated_fields: { amount: 200, due_date: null } },
};

function read(filter: unknown): Filter {
  const parsed = parseFilter(JSON.stringify(filter));
  if (parsed.kind === 'invalid') throw new Error(`${parsed.fault.place}: ${parsed.fault.message}`);
  return parsed.filter;
}

/** What is wrong with a filter, as `place REASON`; "OK" if nothing is. */
function faultOf(filter: unknown): string {
  const text = typeof filter === 'string' ? filter : JSON.stringify(filter);
  const parsed = parseFilter(text);
  return parsed.kind === 'valid' ? 'OK' : `${parsed.fault.place} ${parsed.fault.reason}`;
}

describe('a filter', () => {
  test.each([
    [{ event: 'invoice_paid' }, true],
    [{ event: 'invoice_created' }, false],
    [{ event: { prefix: 'invoice_' } }, true],
    [{ event: { any_of: ['invoice_created', 'invoice_paid'] } }, true],
    [{ 'data.currency': 'USD' }, true],
    [{ 'data.currency': { equals: 'USD' } }, true],
    [{ 'data.currency': 'usd' }, false],
    [{ 'data.currency': { any_of: ['EUR', 'CHF'] } }, false],
    [{ 'data.amount_received': 1550.5 }, true],
    [{ 'data.amount_received': '1550.5' }, false],
    [{ 'data.amount_received': { gt: 1550.5 } }, false],
    [{ 'data.amount_received': { gte: 1550.5, lt: 1550.51 } }, true],
    [{ 'data.amount_received': { lte: 1550.49 } }, false],
    [{ 'data.invoice_id': { prefix: '2024-' } }, true],
    [{ 'data.invoice_id': { prefix: '2024-17-' } }, false],
    [{ 'data.amount_received': { prefix: '1' } }, false],
    [{ 'data.invoice_id': { gt: 1 } }, false],
    [{ 'data.paid_at': { exists: true } }, true],
    [{ 'data.due_date': { exists: true } }, false],
    [{ 'data.due_date': { exists: false } }, true],
    [{ 'data.due_date': null }, false],
    [{ 'data.currency': 'USD', 'data.status': 'paid' }, true],
    [{ 'data.currency': 'USD', 'data.status': 'pending' }, false],
    [{ and: [{ 'data.currency': 'USD' }, { 'data.status': 'paid' }] }, true],
    [{ or: [{ 'data.currency': 'EUR' }, { 'data.status': 'paid' }] }, true],
    [{ or: [{ 'data.currency': 'EUR' }, { 'data.status': 'pending' }] }, false],
    [{ not: { 'data.currency': 'EUR' } }, true],
    [{ not: { 'data.due_date': 'x' } }, true],
    [{ not: { 'data.currency': 'USD', 'data.status': 'pending' } }, true],
  ])('%j judges what was paid as %s', (filter, expected) => {
    expect(read(filter).matches(paid)).toBe(expected);
  });

  test.each([
    [{ 'data.updated_fields.due_date': null }, true],
    [{ 'data.updated_fields.due_date': { exists: true } }, true],
    [{ 'data.updated_fields.description': { exists: true } }, false],
    [{ 'data.updated_fields.amount': { gte: 100 } }, true],
    [{ 'data.updated_fields': { exists: true } }, true],
    [{ 'data.updated_fields.amount.x': { exists: true } }, false],
    [{ 'data.invoice_id.length': { exists: true } }, false],
  ])('%j judges an update as %s', (filter, expected) => {
    expect(read(filter).matches(updated)).toBe(expected);
  });

  test('compares times as times, whatever their fractions and zones', () => {
    const at = { 'data.paid_at': { gt: '2024-03-20T10:00:00Z' } };
    expect(read(at).matches(paid)).toBe(true);
    const sameInBern = { 'data.paid_at': { gte: '2024-03-20T11:00:00.120+01:00' } };
    expect(read(sameInBern).matches(paid)).toBe(true);
    const before = { 'data.paid_at': { lt: '2024-03-20T10:00:00.120Z' } };
    expect(read(before).matches(paid)).toBe(false);
  });

  test('reads the time of a value once, however many tests look at it', () => {
    const tests = { gt: '2024-01-01T00:00:00Z', lte: '2025-01-01T00:00:00Z' };
    const filters = [1, 2, 3].map(() =>
      read({ or: [{ 'data.at': { exists: false } }, { 'data.at': tests }] }),
    );
    const parse = vi.spyOn(Date, 'parse');
    for (const at of ['2024-03-20T10:00:00Z', '2023-03-20T10:00:00Z']) {
      const event = { event: 'a', data: { at } };
      expect(filters.map((filter) => filter.matches(event))).toEqual(Array(3).fill(at > '2024'));
    }
    expect(parse).toHaveBeenCalledTimes(2);
    parse.mockRestore();
  });

  test('takes no text for a time, whatever was judged before', () => {
    const filter = read({ 'data.at': { gt: '2024-01-01T00:00:00Z' } });
    for (let count = 0; count < 100; count += 1) {
      const isTime = count % 2 === 0;
      const at = isTime ? `2024-03-20T10:00:00.${count}Z` : 'x'.repeat(count);
      expect(filter.matches({ event: 'a', data: { at } })).toBe(isTime);
    }
  });

  test('sees nothing that an object only inherits, and nothing in lists', () => {
    const event = { event: 'a', data: { list: [{ a: 1 }] } };
    for (const path of ['constructor', 'toString', 'constructor.name', '__proto__', 'list.a']) {
      expect(read({ [`data.${path}`]: { exists: true } }).matches(event)).toBe(false);
    }
  });

  test('judges any data without throwing', () => {
    const filter = read({
      or: [{ 'data.a.b': { gt: '2024-01-01T00:00:00Z' } }, { 'data.a': { prefix: 'x' } }],
    });
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        expect(typeof filter.matches({ event: 'a', data })).toBe('boolean');
      }),
    );
  });
});

describe('a filter is refused', () => {
  test.each([
    ['', ' FILTER_INVALID'],
    ['{', ' FILTER_INVALID'],
    ['null', ' FILTER_INVALID'],
    ['[]', ' FILTER_INVALID'],
    ['"x"', ' FILTER_INVALID'],
    ['{}', ' FILTER_INVALID'],
    ['{"event":"a","event":"b"}', ' FILTER_INVALID'],
    ['{"data.a":1e999}', '["data.a"] FILTER_INVALID'],
    ['{"data.a":{"gte":1000.00000000000000001}}', '["data.a"].gte FILTER_INVALID'],
    [
      '{"or":[{"data.a":{"any_of":[1,1234567890123450.01]}}]}',
      '.or[0]["data.a"].any_of[1] FILTER_INVALID',
    ],
    ['{"data.a":1e-400}', '["data.a"] FILTER_INVALID'],
    ['{"__proto__":{"event":"a"}}', '.__proto__ FILTER_INVALID'],
    [{ $where: 'x' }, '["$where"] FILTER_INVALID'],
    [{ data: { exists: true } }, '.data FILTER_INVALID'],
    [{ 'data.': 1 }, '["data."] FILTER_INVALID'],
    [{ 'data.a-b': 1 }, '["data.a-b"] FILTER_INVALID'],
    [{ 'event.x': 1 }, '["event.x"] FILTER_INVALID'],
    [{ amount: 1 }, '.amount FILTER_INVALID'],
    [{ [`data${'.a'.repeat(9)}`]: 1 }, `["data${'.a'.repeat(9)}"] FILTER_INVALID`],
    [{ ['x'.repeat(99)]: 1 }, `["${'x'.repeat(64)}…"] FILTER_INVALID`],
    [{ 'data.a': {} }, '["data.a"] FILTER_INVALID'],
    [{ 'data.a': [] }, '["data.a"] FILTER_INVALID'],
    [{ 'data.a': { regex: 'x' } }, '["data.a"].regex FILTER_INVALID'],
    [{ 'data.a': { equals: {} } }, '["data.a"].equals FILTER_INVALID'],
    [{ 'data.a': { any_of: [] } }, '["data.a"].any_of FILTER_INVALID'],
    [{ 'data.a': { any_of: ['a', ['b']] } }, '["data.a"].any_of[1] FILTER_INVALID'],
    [{ 'data.a': { prefix: '' } }, '["data.a"].prefix FILTER_INVALID'],
    [{ 'data.a': { prefix: 1 } }, '["data.a"].prefix FILTER_INVALID'],
    [{ 'data.a': { exists: 'yes' } }, '["data.a"].exists FILTER_INVALID'],
    [{ 'data.a': { gt: '5' } }, '["data.a"].gt FILTER_INVALID'],
    [{ 'data.a': { gt: null } }, '["data.a"].gt FILTER_INVALID'],
    [{ 'data.a': { lt: '2024-02-30T00:00:00Z' } }, '["data.a"].lt FILTER_INVALID'],
    [{ 'data.a': { lt: '2024-02-28T24:00:00Z' } }, '["data.a"].lt FILTER_INVALID'],
    [{ 'data.a': { lt: '2016-12-31T23:59:60Z' } }, '["data.a"].lt FILTER_INVALID'],
    [{ 'data.a': { lt: '2024-02-03' } }, '["data.a"].lt FILTER_INVALID'],
    [{ 'data.a': 0.1 + 0.2 }, '["data.a"] FILTER_INVALID'],
    ['{"data.a":12345678901234567890}', '["data.a"] FILTER_INVALID'],
    [{ event: { exists: true } }, '.event.exists FILTER_INVALID'],
    [{ event: { gt: 1 } }, '.event.gt FILTER_INVALID'],
    [{ and: { event: 'a' } }, '.and FILTER_INVALID'],
    [{ or: [] }, '.or FILTER_INVALID'],
    [{ or: [{ event: 'a' }, {}] }, '.or[1] FILTER_INVALID'],
    [{ not: 'a' }, '.not FILTER_INVALID'],
    [{ and: [{ not: { 'data.a': { gte: true } } }] }, '.and[0].not["data.a"].gte FILTER_INVALID'],
  ])('such as %j, with its place', (filter, fault) => {
    expect(faultOf(filter)).toBe(fault);
  });

  test('when it is nested too deep', () => {
    const nest = (depth: number): unknown =>
      depth === 0 ? { 'data.a': { any_of: [1] } } : { and: [nest(depth - 1)] };
    expect(faultOf(nest(MAX_DEPTH))).toBe('OK');
    const place = '.and[0].and[0].and[0].and[0].and[0].and';
    expect(faultOf(nest(MAX_DEPTH + 1))).toBe(`${place} FILTER_TOO_LARGE`);
    expect(faultOf('{"not":'.repeat(500) + '{}' + '}'.repeat(500))).toBe(' FILTER_TOO_LARGE');
  });

  test('when it has too many terms, values counted', () => {
    const values = Array.from({ length: MAX_TERMS }, (_, index) => index);
    expect(faultOf({ 'data.a': { any_of: values } })).toBe('OK');
    const tooMany = { 'data.a': { any_of: values }, event: 'a' };
    expect(faultOf(tooMany)).toBe('.event FILTER_TOO_LARGE');
  });

  test('when it is too long, as it is sent or in full', () => {
    const longest = `{"event":"${'x'.repeat(MAX_FILTER_CHARACTERS - 12)}"}`;
    expect(faultOf(longest)).toBe('OK');
    expect(faultOf(`${longest} `)).toBe(' FILTER_TOO_LARGE');
    const expanding = `{"data.a":{"any_of":[1E20,"${'x'.repeat(4_060)}"]}}`;
    expect(expanding.length).toBeLessThanOrEqual(MAX_FILTER_CHARACTERS);
    expect(faultOf(expanding)).toBe(' FILTER_TOO_LARGE');
  });
});

const scalars = fc.oneof(
  fc.constantFrom('USD', 'EUR', '2024-01-01T00:00:00Z', ''),
  fc.integer({ min: -5, max: 5 }),
  fc.boolean(),
  fc.constant(null),
);
const tests = fc.oneof(
  scalars,
  fc.record({ equals: scalars }),
  fc.record({ any_of: fc.array(scalars, { minLength: 1, maxLength: 3 }) }),
  fc.record({ prefix: fc.constantFrom('U', 'EUR') }),
  fc.record({ exists: fc.boolean() }),
  fc.record(
    { gt: fc.integer({ min: -5, max: 5 }), lte: fc.constantFrom('2024-01-01T00:00:00Z', 3) },
    { requiredKeys: ['gt'] },
  ),
);
const conditions = fc.letrec<{ condition: object }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: MAX_DEPTH, withCrossShrink: true },
    fc.dictionary(fc.constantFrom('data.a', 'data.b.c'), tests, { minKeys: 1 }),
    fc.record({ and: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ or: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('condition') }),
  ),
})).condition;
const events = fc.record({
  event: fc.constantFrom('a', 'b'),
  data: fc.record(
    { a: scalars, b: fc.oneof(scalars, fc.record({ c: scalars })) },
    { requiredKeys: [] },
  ),
});

describe('whatever a filter is', () => {
  test('its text is read as the same filter, with the same text', () => {
    fc.assert(
      fc.property(conditions, events, (condition, event) => {
        const first = parseFilter(JSON.stringify(condition, undefined, 1));
        fc.pre(first.kind === 'valid');
        const again = parseFilter(first.filter.text);
        expect(again).toMatchObject({ kind: 'valid', filter: { text: first.filter.text } });
        expect(again.kind === 'valid' && again.filter.matches(event)).toBe(
          first.filter.matches(event),
        );
      }),
    );
  });

  test('"not" is its opposite, and one of "and" and "or" is itself', () => {
    fc.assert(
      fc.property(conditions, events, (condition, event) => {
        fc.pre(faultOf({ and: [condition] }) === 'OK');
        const holds = read(condition).matches(event);
        expect(read({ not: condition }).matches(event)).toBe(!holds);
        expect(read({ and: [condition] }).matches(event)).toBe(holds);
        expect(read({ or: [condition] }).matches(event)).toBe(holds);
      }),
    );
  });

  test('any JSON is read or refused', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(faultOf(text)).toMatch(/OK| FILTER_/);
      }),
    );
  });
});
