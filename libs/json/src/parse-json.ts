/** What is wrong with a text that should be JSON. */
export type JsonFault =
  | { readonly kind: 'not_json'; readonly cause: unknown }
  | { readonly kind: 'too_deep' }
  /** A field of one object stands there twice. */
  | { readonly kind: 'repeated_name'; readonly name: string }
  /** A number beyond those of a double, which would be read as infinite. */
  | { readonly kind: 'number_too_large' };

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

/**
 * Walks over the tokens of a valid JSON text. `JSON.parse` keeps the last of two fields of the same
 * name, makes `1e999` infinite, and says nothing.
 */
function findFault(text: string, maxDepth: number): JsonFault | undefined {
  /** The names seen in each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > maxDepth) return { kind: 'too_deep' };
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      const name = isFieldName(text, end) ? String(JSON.parse(text.slice(at, end))) : undefined;
      if (name !== undefined && open.at(-1)?.has(name)) return { kind: 'repeated_name', name };
      if (name !== undefined) open.at(-1)?.add(name);
      at = end - 1;
    } else if (character === '-' || (character >= '0' && character <= '9')) {
      const end = endOfNumber(text, at);
      if (!Number.isFinite(Number(text.slice(at, end)))) return { kind: 'number_too_large' };
      at = end - 1;
    }
  }
  return undefined;
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
