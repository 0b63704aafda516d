import { quote } from '@billhook/json';
import type { Place } from '@billhook/json';
import type { Bound, Condition, RangeOperator, Scalar, Test } from './condition.ts';
import { readTimeMs } from './time.ts';

/** How deep `and`, `or` and `not` may be nested. */
export const MAX_DEPTH = 5;
/** Each test is a term, and each value of `any_of`. */
export const MAX_TERMS = 100;

/** A field of the event: `event`, or the names that lead from `data` to a value. */
const PATH = /^(?:event|data(?:\.[A-Za-z_]\w{0,63}){1,8})$/;
const RANGE_OPERATORS: readonly RangeOperator[] = ['gt', 'gte', 'lt', 'lte'];
const TEST_NAMES = ['equals', 'any_of', 'prefix', 'exists', ...RANGE_OPERATORS];
/** The name of an event is a text, and always there. */
const EVENT_TEST_NAMES = ['equals', 'any_of', 'prefix'];

/** A double holds every decimal of so many digits apart from every other one. */
const MAX_SIGNIFICANT_DIGITS = 15;

/** Something in a filter that cannot be read. */
export class ConditionError extends Error {
  readonly place: Place;
  readonly kind: 'invalid' | 'too_large';

  /** @param message what completes a sentence that begins with the place. */
  constructor(place: Place, message: string, kind: ConditionError['kind'] = 'invalid') {
    super(message);
    this.name = 'ConditionError';
    this.place = place;
    this.kind = kind;
  }
}

/**
 * Reads a condition.
 *
 * @param value as JSON gives it.
 * @throws ConditionError with the place of the first thing that is wrong.
 */
export function readCondition(value: unknown): Condition {
  const terms = { left: MAX_TERMS };
  return readObject({ value, place: [], depth: 0, terms });
}

/** A part of a filter that is to be read. */
interface Part {
  readonly value: unknown;
  readonly place: Place;
  /** How many of `and`, `or` and `not` are around it. */
  readonly depth: number;
  /** How many terms the whole filter may still have. */
  readonly terms: { left: number };
}

/** Several fields must hold together. */
function readObject(part: Part): Condition {
  const fields = fieldsOf(part, 'conditions');
  const conditions = fields.map(([name, value]) =>
    readField(name, { ...part, value, place: [...part.place, name] }),
  );
  const [only] = conditions;
  return conditions.length === 1 && only !== undefined ? only : { kind: 'and', conditions };
}

function readField(name: string, part: Part): Condition {
  switch (name) {
    case 'and':
    case 'or':
      return { kind: name, conditions: readList(deeper(part)) };
    case 'not':
      return { kind: 'not', condition: readObject(deeper(part)) };
    default:
      return readTests(pathOf(name, part), part);
  }
}

function deeper(part: Part): Part {
  const depth = part.depth + 1;
  if (depth > MAX_DEPTH) {
    const message = `must not nest "and", "or" and "not" more than ${MAX_DEPTH} deep`;
    throw new ConditionError(part.place, message, 'too_large');
  }
  return { ...part, depth };
}

function readList(part: Part): readonly Condition[] {
  const list = listOf(part, 'conditions');
  return list.map((value, index) => readObject({ ...part, value, place: [...part.place, index] }));
}

function pathOf(name: string, { place }: Part): readonly string[] {
  if (!PATH.test(name)) {
    const message =
      'must be "and", "or", "not", "event", or "data." with names that lead to a value, such as ' +
      '"data.amount"';
    throw new ConditionError(place, message);
  }
  return name.split('.');
}

/** A plain value is the short form of `equals`. */
function readTests(path: readonly string[], part: Part): Condition {
  if (typeof part.value !== 'object' || part.value === null) {
    return { kind: 'term', path, test: readTest('equals', part) };
  }
  const tests = fieldsOf(part, 'tests').map(([name, value]): Condition => {
    const place = [...part.place, name];
    requireTestName(name, path, place);
    return { kind: 'term', path, test: readTest(name, { ...part, value, place }) };
  });
  const [only] = tests;
  return tests.length === 1 && only !== undefined ? only : { kind: 'and', conditions: tests };
}

function requireTestName(name: string, path: readonly string[], place: Place): void {
  const names = path.length === 1 ? EVENT_TEST_NAMES : TEST_NAMES;
  if (!names.includes(name)) {
    throw new ConditionError(place, `must be one of the tests ${names.map(quote).join(', ')}`);
  }
}

function readTest(name: string, part: Part): Test {
  const { value, place } = part;
  countTerm(part);
  switch (name) {
    case 'equals':
      return { kind: 'any_of', values: [readScalar(value, place)] };
    case 'any_of':
      return { kind: 'any_of', values: readScalars(part) };
    case 'prefix':
      if (typeof value !== 'string' || value === '') {
        throw new ConditionError(place, 'must be a text that is not empty');
      }
      return { kind: 'prefix', prefix: value };
    case 'exists':
      if (typeof value !== 'boolean') {
        throw new ConditionError(place, 'must be true or false');
      }
      return { kind: 'exists', expected: value };
    default:
      return { kind: 'range', operator: operatorOf(name), bound: readBound(value, place) };
  }
}

function operatorOf(name: string): RangeOperator {
  const operator = RANGE_OPERATORS.find((known) => known === name);
  if (operator === undefined) throw new Error(`"${name}" is no test`);
  return operator;
}

function readScalars(part: Part): readonly Scalar[] {
  return listOf(part, 'values').map((value, index) => {
    if (index > 0) countTerm(part);
    return readScalar(value, [...part.place, index]);
  });
}

function readScalar(value: unknown, place: Place): Scalar {
  if (typeof value === 'number') return readNumber(value, place);
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  throw new ConditionError(place, 'must be a text, a number, true, false or null');
}

function readBound(value: unknown, place: Place): Bound {
  if (typeof value === 'number') return { kind: 'number', value: readNumber(value, place) };
  const timeMs = typeof value === 'string' ? readTimeMs(value) : undefined;
  if (timeMs === undefined) {
    const message = 'must be a number, or a time such as "2024-04-15T00:00:00Z"';
    throw new ConditionError(place, message);
  }
  return { kind: 'time', timeMs };
}

function readNumber(value: number, place: Place): number {
  const digits = value.toExponential().replace(/e.*|[.-]/g, '');
  if (digits.length > MAX_SIGNIFICANT_DIGITS) {
    const message = `must have at most ${MAX_SIGNIFICANT_DIGITS} significant digits`;
    throw new ConditionError(place, message);
  }
  return value;
}

function countTerm({ terms, place }: Part): void {
  terms.left -= 1;
  if (terms.left < 0) {
    const message = `is one too many: a filter has at most ${MAX_TERMS} tests and values`;
    throw new ConditionError(place, message, 'too_large');
  }
}

function fieldsOf({ value, place }: Part, what: string): readonly (readonly [string, unknown])[] {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (fields.length === 0 || Array.isArray(value)) {
    throw new ConditionError(place, `must be an object of ${what}, at least one`);
  }
  return fields;
}

function listOf({ value, place }: Part, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ConditionError(place, `must be a list of ${what}, at least one`);
  }
  return value;
}
