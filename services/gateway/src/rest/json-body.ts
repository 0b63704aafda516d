import { Problem } from './problem.ts';

/** Deeper than any body that the gateway takes, so that nesting costs nobody anything. */
export const MAX_JSON_DEPTH = 16;

const MAX_QUOTED_FIELD_LENGTH = 64;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a body as strictly as RFC 8259 allows: UTF-8 without a byte order mark, no field twice, and
 * no deep nesting. A field named `__proto__` is a field like any other, and unknown.
 *
 * @throws Problem with the code of what is wrong.
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) {
    throw new Problem('empty_body', 'The body is empty. Send a JSON object, at least {}.');
  }
  const text = decodeUtf8(body);
  if (text.startsWith('\uFEFF')) {
    throw new Problem(
      'invalid_json',
      'The body begins with a byte order mark. Send it without one.',
    );
  }
  const value = parse(text);
  checkStructure(text);
  return value;
}

/** A name from outside, short enough to be quoted in an answer. */
export function quotableField(name: string): string {
  if (name.length <= MAX_QUOTED_FIELD_LENGTH) return name.toWellFormed();
  return `${name.slice(0, MAX_QUOTED_FIELD_LENGTH).toWellFormed()}…`;
}

function decodeUtf8(body: Buffer): string {
  try {
    return strictUtf8.decode(body);
  } catch (error) {
    throw new Problem('invalid_utf8', 'The body is not valid UTF-8. Encode it as UTF-8.', {
      cause: error,
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(
      'invalid_json',
      'The body is not valid JSON. Send a JSON object, with double quotes around names and texts.',
      { cause: error },
    );
  }
}

/**
 * Walks over the tokens of a valid JSON text. `JSON.parse` keeps the last of two fields of the same
 * name and says nothing; here that is refused.
 */
function checkStructure(text: string): void {
  /** The names seen in each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > MAX_JSON_DEPTH) throw tooDeep();
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      if (isFieldName(text, end)) noteField(open.at(-1), text.slice(at, end));
      at = end - 1;
    }
  }
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

function noteField(names: Set<string> | undefined, token: string): void {
  const name = String(JSON.parse(token));
  if (names?.has(name)) {
    const field = quotableField(name);
    throw new Problem('duplicate_field', `The field "${field}" is given twice. Send it once.`, {
      field,
    });
  }
  names?.add(name);
}

function tooDeep(): Problem {
  return new Problem(
    'json_too_deep',
    `The JSON is nested more than ${MAX_JSON_DEPTH} levels deep. Send a flat object.`,
  );
}
