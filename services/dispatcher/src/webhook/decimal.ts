import { UnknownEventError } from './unknown-event-error.ts';
import type { Money } from '@billhook/contracts';

const NANO_DIGITS = 9;
const MAX_NANOS = 999_999_999;

/**
 * Writes the value of a `google.type.Money` as the shortest decimal that is exactly it: `200`,
 * `1550.5`. Digits alone are moved; nothing becomes a binary fraction on the way.
 *
 * @throws {UnknownEventError} if units and nanos are no amount.
 */
export function formatDecimal({ units, nanos }: Money): string {
  if (Math.abs(nanos) > MAX_NANOS || (units > 0n && nanos < 0) || (units < 0n && nanos > 0)) {
    throw new UnknownEventError('UNREADABLE', 'An event holds an amount that is none');
  }
  if (nanos === 0) return units.toString();
  const sign = units < 0n || nanos < 0 ? '-' : '';
  const whole = (units < 0n ? -units : units).toString();
  const fraction = Math.abs(nanos).toString().padStart(NANO_DIGITS, '0').replace(/0+$/, '');
  return `${sign}${whole}.${fraction}`;
}
