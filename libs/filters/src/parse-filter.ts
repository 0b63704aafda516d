import { parseJson, quote, writePlace } from '@billhook/json';
import type { JsonFault } from '@billhook/json';
import { compile } from './matching.ts';
import type { FilteredEvent } from './matching.ts';
import { ConditionError, readCondition } from './read-condition.ts';

/** In characters, as it is sent and as it is kept. */
export const MAX_FILTER_CHARACTERS = 4_096;

/** Deeper than any filter, so that a deep one is refused by its place. */
const MAX_JSON_DEPTH = 16;

/** A condition that an event must meet. */
export interface Filter {
  /** Its JSON in the one form that it has, whatever the order of its fields was. */
  readonly text: string;
  /** Says whether an event meets it. It never throws. */
  matches(event: FilteredEvent): boolean;
}

/** Why a text is no filter. */
export interface FilterFault {
  /** Where in the filter, to stand behind its name: `.and[0]["data.amount"]`; "" for all of it. */
  readonly place: string;
  readonly reason: 'FILTER_INVALID' | 'FILTER_TOO_LARGE';
  /** Completes a sentence that begins with the place. */
  readonly message: string;
}

export type ParsedFilter =
  | { readonly kind: 'valid'; readonly filter: Filter }
  | { readonly kind: 'invalid'; readonly fault: FilterFault };

/** Reads a filter that somebody wrote, or one that was read before. */
export function parseFilter(text: string): ParsedFilter {
  if (text.length > MAX_FILTER_CHARACTERS) {
    return tooLong();
  }
  const parsed = parseJson(text, { maxDepth: MAX_JSON_DEPTH });
  if (parsed.kind === 'invalid') {
    return explain(parsed.fault);
  }
  try {
    const matches = compile(readCondition(parsed.value));
    const written = write(parsed.value);
    // A number may be longer in full: 1e20.
    return written.length > MAX_FILTER_CHARACTERS
      ? tooLong()
      : { kind: 'valid', filter: { text: written, matches } };
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    const place = writePlace(error.place);
    return error.kind === 'invalid'
      ? invalid(place, error.message)
      : tooLarge(place, error.message);
  }
}

function explain(fault: JsonFault): ParsedFilter {
  switch (fault.kind) {
    case 'not_json':
      return invalid('', 'must be JSON');
    case 'too_deep':
      return tooLarge('', `must not be nested more than ${MAX_JSON_DEPTH} levels deep`);
    case 'repeated_name':
      return invalid('', `must not have the field ${quote(fault.name)} twice in an object`);
    case 'number_too_large':
      return invalid(writePlace(fault.place), 'must be no larger than a double can be');
    case 'number_not_exact': {
      const message =
        'must be a number that a double holds as it is written, such as all of 15 digits';
      return invalid(writePlace(fault.place), message);
    }
  }
}

function invalid(place: string, message: string): ParsedFilter {
  return { kind: 'invalid', fault: { place, reason: 'FILTER_INVALID', message } };
}

function tooLong(): ParsedFilter {
  return tooLarge('', `must be at most ${MAX_FILTER_CHARACTERS} characters of JSON`);
}

function tooLarge(place: string, message: string): ParsedFilter {
  return { kind: 'invalid', fault: { place, reason: 'FILTER_TOO_LARGE', message } };
}

/** The same filter is the same text, so that a repeated registration is seen to change nothing. */
function write(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    const fields = Object.entries(part);
    return Object.fromEntries(fields.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  });
}
