import { parseJson, writePlace } from '@billhook/json';
import type { JsonFault, Place } from '@billhook/json';
import { Problem } from './problem.ts';

/** Deeper than any body that the gateway takes, so that nesting costs nobody anything. */
export const MAX_JSON_DEPTH = 16;

const MAX_QUOTED_FIELD_LENGTH = 64;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a body as strictly as RFC 8259 allows: UTF-8 without a byte order mark, no field twice, no
 * deep nesting, and no number that would be rounded. A field named `__proto__` is a field like any other, and unknown.
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
  return parse(text);
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
  const parsed = parseJson(text, { maxDepth: MAX_JSON_DEPTH });
  if (parsed.kind === 'invalid') throw toProblem(parsed.fault);
  return parsed.value;
}

function toProblem(fault: JsonFault): Problem {
  switch (fault.kind) {
    case 'not_json':
      return new Problem(
        'invalid_json',
        'The body is not valid JSON. Send a JSON object, with double quotes around names and texts.',
        { cause: fault.cause },
      );
    case 'too_deep':
      return new Problem(
        'json_too_deep',
        `The JSON is nested more than ${MAX_JSON_DEPTH} levels deep. Nest it less.`,
      );
    case 'repeated_name': {
      const field = quotableField(fault.name);
      return new Problem('duplicate_field', `The field "${field}" is given twice. Send it once.`, {
        field,
      });
    }
    case 'number_too_large':
      return new Problem(
        'number_too_large',
        'A number is larger than a double can be. Send a smaller one, or a text.',
        { field: fieldAt(fault.place) },
      );
    case 'number_not_exact':
      return new Problem(
        'number_not_exact',
        'A number would be rounded, because a double does not hold it. Send at most 15 digits, or a text.',
        { field: fieldAt(fault.place) },
      );
  }
}

/** Where a value stands in the body, such as `filter["data.amount"]`; undefined for all of it. */
function fieldAt(place: Place): string | undefined {
  return place.length === 0 ? undefined : writePlace(place).replace(/^\./, '');
}
