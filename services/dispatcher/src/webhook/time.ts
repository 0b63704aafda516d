import { remember } from '@billhook/runtime';
import { UnknownEventError } from './unknown-event-error.ts';
import type { Timestamp } from '@billhook/contracts';

const MS_PER_SECOND = 1_000;
const NANOS_PER_MS = 1_000_000;
const MAX_NANOS = 999_999_999;
/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the bounds of `google.protobuf.Timestamp`. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

/** An event has the same time for all its endpoints. */
const MAX_REMEMBERED = 1_024;

/**
 * Writes a time after RFC 3339 in UTC: without a fraction on the full second, else with three digits.
 *
 * @param timeMs milliseconds since 1970, within the years 1 to 9999.
 */
export const formatTime = remember(writeTime, MAX_REMEMBERED);

function writeTime(timeMs: number): string {
  const text = new Date(timeMs).toISOString();
  return timeMs % MS_PER_SECOND === 0 ? `${text.slice(0, -'.000Z'.length)}Z` : text;
}

/**
 * Writes a time of an event in the same way, to the millisecond; what is finer is cut off.
 *
 * @throws {UnknownEventError} if it is not a time of the years 1 to 9999.
 */
export function formatTimestamp({ seconds, nanos }: Timestamp): string {
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > MAX_NANOS) {
    throw new UnknownEventError('UNREADABLE', 'An event holds a time that is none');
  }
  return formatTime(Number(seconds) * MS_PER_SECOND + Math.floor(nanos / NANOS_PER_MS));
}
