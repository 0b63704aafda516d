import type { Place } from './place.ts';

/** What is wrong with a text that should be JSON. */
export type JsonFault =
  | { readonly kind: 'not_json'; readonly cause: unknown }
  | { readonly kind: 'too_deep' }
  /** A field of one object stands there twice. */
  | { readonly kind: 'repeated_name'; readonly name: string }
  /** A number beyond those of a double, which would be read as infinite. */
  | { readonly kind: 'number_too_large'; readonly place: Place }
  /** A number that no double is, which would be rounded, perhaps to zero. */
  | { readonly kind: 'number_not_exact'; readonly place: Place };

export type ParsedJson =
  | { readonly kind: 'valid'; readonly value: unknown }
  | { readonly kind: 'invalid'; readonly fault: JsonFault };

/**
 * Reads JSON from outside, so that nothing of it is dropped or changed in silence. A field named
 * `__proto__` is a field like any other.
 *
 * @param options.maxDepth how deep arrays and objects may be nested.
 */
export function parseJson(text: string, options: { readonly maxDepth: number }): ParsedJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return { kind: 'invalid', fault: { kind: 'not_json', cause } };
  }
  const fault = findFault(text, options.maxDepth);
  return fault === undefined ? { kind: 'valid', value } : { kind: 'invalid', fault };
}

const NUMBER = /-?\d[\d.eE+-]*/y;
/** With so few digits a double holds every number apart from every other one. */
const SHORT_NUMBER = /^-?[\d.]{1,15}$/;
const PARTS_OF_NUMBER = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** An array or an object whose end has not come yet. */
interface Open {
  /** The names seen in an object; undefined for an array. */
  readonly names: Set<string> | undefined;
  /** Where in it the walk is. */
  step: string | number;
}

/**
 * Walks over the tokens of a valid JSON text. `JSON.parse` keeps the last of two fields of the same
 * name, makes `1e999` infinite and `1e-999` zero, rounds what has many digits, and says nothing.
 */
function findFault(text: string, maxDepth: number): JsonFault | undefined {
  const open: Open[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    const inner = open.at(-1);
    if (character === '{' || character === '[') {
      const isObject = character === '{';
      open.push({ names: isObject ? new Set() : undefined, step: isObject ? '' : 0 });
      if (open.length > maxDepth) return { kind: 'too_deep' };
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === ',') {
      if (typeof inner?.step === 'number') inner.step += 1;
    } else if (character === '"') {
      const end = endOfString(text, at);
      if (inner?.names !== undefined && isFieldName(text, end)) {
        const name = String(JSON.parse(text.slice(at, end)));
        if (inner.names.has(name)) return { kind: 'repeated_name', name };
        inner.names.add(name);
        inner.step = name;
      }
      at = end - 1;
    } else if (character === '-' || (character >= '0' && character <= '9')) {
      const end = endOfNumber(text, at);
      const kind = findFaultOfNumber(text.slice(at, end));
      if (kind !== undefined) return { kind, place: open.map(({ step }) => step) };
      at = end - 1;
    }
  }
  return undefined;
}

function findFaultOfNumber(text: string): 'number_too_large' | 'number_not_exact' | undefined {
  if (SHORT_NUMBER.test(text)) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return 'number_too_large';
  // JavaScript writes the fewest digits that are read as this double: others were rounded to them.
  return digitsOf(text) === digitsOf(value.toExponential()) ? undefined : 'number_not_exact';
}

/** The digits of a number and the power of ten of the first one: the same for 1.50, 15e-1 and 1.5. */
function digitsOf(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] = PARTS_OF_NUMBER.exec(text) ?? [];
  const digits = whole + fraction;
  let start = 0;
  while (digits[start] === '0') start += 1;
  let end = digits.length;
  while (end > start && digits[end - 1] === '0') end -= 1;
  if (start === end) return '0';
  return `${digits.slice(start, end)}e${Number(exponent) + whole.length - start}`;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** In valid JSON only a field's name is followed by a colon. */
function isFieldName(text: string, end: number): boolean {
  let at = end;
  while (' \t\r\n'.includes(text[at] ?? ':')) at += 1;
  return text[at] === ':';
}

function endOfNumber(text: string, start: number): number {
  NUMBER.lastIndex = start;
  NUMBER.exec(text);
  return NUMBER.lastIndex;
}
