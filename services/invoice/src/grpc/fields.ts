import { requirePattern, requireText } from '@billhook/grpc';
import { invalidField, ServiceError } from '@billhook/runtime';
import { parseMoney } from '../domain/money.ts';
import { readTimestampMs } from '@billhook/contracts';
import type { Money, Timestamp } from '@billhook/contracts';
import type { FieldViolation } from '@billhook/runtime';
import type { Amount } from '../domain/money.ts';

/** A field of a request: its value, or what is wrong with it. */
export type Field<Value> =
  | { readonly kind: 'valid'; readonly value: Value }
  | { readonly kind: 'invalid'; readonly violations: readonly FieldViolation[] };

type FieldRecord = Readonly<Record<string, Field<unknown>>>;

type Values<Fields> = {
  readonly [Name in keyof Fields]: Fields[Name] extends Field<infer Value> ? Value : never;
};

export const INVOICE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

const MAX_REQUEST_ID_CHARACTERS = 128;
const MAX_DESCRIPTION_CHARACTERS = 1_024;
const MAX_ETAG_CHARACTERS = 64;

/** Invisible format characters, line and paragraph separators; controls are refused anyway. */
const UNPRINTABLE_CHARACTER = /[\p{Cf}\p{Zl}\p{Zp}]/u;

/**
 * The values of all fields.
 *
 * @throws ServiceError with every violation of every field; its reason is that of the first.
 */
export function requireValid<Fields extends FieldRecord>(fields: Fields): Values<Fields> {
  const all = combine(fields);
  if (all.kind === 'valid') {
    return all.value;
  }
  const { violations } = all;
  const message = violations.map((each) => `${each.field}: ${each.description}`).join('; ');
  const reason = violations[0]?.reason ?? 'REQUEST_INVALID';
  throw new ServiceError('INVALID_ARGUMENT', reason, message, { fieldViolations: violations });
}

/** Makes one field of several: valid only if they all are. */
export function combine<Fields extends FieldRecord>(fields: Fields): Field<Values<Fields>> {
  const values: Record<string, unknown> = {};
  const violations: FieldViolation[] = [];
  for (const [name, field] of Object.entries(fields)) {
    if (field.kind === 'valid') {
      values[name] = field.value;
    } else {
      violations.push(...field.violations);
    }
  }
  // oxlint-disable-next-line no-unsafe-type-assertion -- the loop has put each value under its name.
  const value = values as Values<Fields>;
  return violations.length === 0 ? { kind: 'valid', value } : { kind: 'invalid', violations };
}

/** Makes a field of a check that throws a ServiceError when the field is invalid. */
export function check<Value>(read: () => Value): Field<Value> {
  try {
    return { kind: 'valid', value: read() };
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'INVALID_ARGUMENT') {
      return { kind: 'invalid', violations: error.fieldViolations };
    }
    throw error;
  }
}

export function requiredInvoiceId(text: string): Field<string> {
  return check(() => requirePattern(text, { field: 'invoice_id', pattern: INVOICE_ID }));
}

/** "" stands for an id that is not there. */
export function optionalInvoiceId(text: string): Field<string> {
  return text === '' ? { kind: 'valid', value: text } : requiredInvoiceId(text);
}

/** "" stands for an id that is not there: the call is not protected against repeats then. */
export function optionalRequestId(text: string): Field<string> {
  return check(() => {
    requireText(text, { field: 'request_id', maxLength: MAX_REQUEST_ID_CHARACTERS });
    if (UNPRINTABLE_CHARACTER.test(text)) {
      throw invalidField('request_id', 'TEXT_NOT_PRINTABLE', 'must hold printable characters only');
    }
    return text;
  });
}

export function optionalEtag(text: string): Field<string> {
  return check(() => requireText(text, { field: 'etag', maxLength: MAX_ETAG_CHARACTERS }));
}

export function optionalDescription(text: string | undefined): Field<string | null> {
  const rule = { field: 'description', maxLength: MAX_DESCRIPTION_CHARACTERS };
  return check(() => (text === undefined ? null : requireText(text, rule)));
}

export function optionalTimeMs(field: string, time: Timestamp | undefined): Field<number | null> {
  return check(() => {
    const timeMs = time === undefined ? null : readTimestampMs(time);
    if (timeMs === undefined) {
      const description =
        'must be a time of the years 1 to 9999 (UTC), with nanos from 0 to 999999999';
      throw invalidField(field, 'TIME_OUT_OF_RANGE', description);
    }
    return timeMs;
  });
}

export function requiredAmount(field: string, money: Money | undefined): Field<Amount> {
  if (money === undefined) {
    return violation(field, 'FIELD_REQUIRED', 'is required');
  }
  const parsed = parseMoney(money);
  if (parsed.kind === 'amount') {
    return { kind: 'valid', value: parsed.amount };
  }
  const violations = parsed.problems.map(({ path, reason, description }) => ({
    field: path === '' ? field : `${field}.${path}`,
    reason,
    description,
  }));
  return { kind: 'invalid', violations };
}

export function violation(field: string, reason: string, description: string): Field<never> {
  return { kind: 'invalid', violations: [{ field, reason, description }] };
}
