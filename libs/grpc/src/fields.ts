import { invalidField } from '@billhook/runtime';

export interface TextRule {
  /** The path of the field as the contract names it. */
  readonly field: string;
  /** In characters (Unicode code points). */
  readonly maxLength: number;
}

export interface PatternRule {
  readonly field: string;
  readonly pattern: RegExp;
}

/** C0, DEL and C1: no text of Billhook needs them, and a log or a terminal may obey them. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for.
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Checks a text that people wrote. It may be empty.
 *
 * @returns the text as it is.
 * @throws ServiceError `INVALID_ARGUMENT` when it is too long or holds a control character.
 */
export function requireText(value: string, rule: TextRule): string {
  // A code point takes one or two units, so that most texts need not be counted.
  if (value.length > rule.maxLength && countCharacters(value) > rule.maxLength) {
    throw invalidField(rule.field, 'TEXT_TOO_LONG', `must be at most ${rule.maxLength} characters`);
  }
  if (CONTROL_CHARACTER.test(value)) {
    throw invalidField(rule.field, 'TEXT_HAS_CONTROL_CHARACTER', 'must hold no control characters');
  }
  return value;
}

/**
 * Checks an id or a name.
 *
 * @returns the text as it is.
 * @throws ServiceError `INVALID_ARGUMENT` when it is missing or breaks the pattern.
 */
export function requirePattern(value: string, rule: PatternRule): string {
  if (value === '') {
    throw invalidField(rule.field, 'FIELD_REQUIRED', 'is required');
  }
  if (!rule.pattern.test(value)) {
    throw invalidField(rule.field, 'FIELD_INVALID', `must match ${rule.pattern.source}`);
  }
  return value;
}

function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) {
    count += 1;
  }
  return count;
}
