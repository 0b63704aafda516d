import { remember } from '@billhook/runtime';

/** A time after RFC 3339; `Date` would take an hour 24 as well. */
const TIME = /^(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const MAX_TIME_CHARACTERS = '2024-04-15T00:00:00.000000000+00:00'.length;

/** An event has a few texts, which the tests of all filters look at in a row. */
const MAX_REMEMBERED = 16;

/**
 * Reads a time; what is finer than a millisecond is cut off.
 *
 * @returns milliseconds since 1970, or undefined for what is no time.
 */
export function readTimeMs(text: string): number | undefined {
  const [matched, year, month, day] = TIME.exec(text) ?? [];
  if (matched === undefined) return undefined;
  // `Date` takes the 30th of February for the 1st of March.
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const timeMs = Date.parse(matched);
  return date.getUTCDate() === Number(day) && !Number.isNaN(timeMs) ? timeMs : undefined;
}

const readLately = remember(readTimeMs, MAX_REMEMBERED);

/** Reads a time like `readTimeMs`, and does not read again what it is given again and again. */
export function readSameTimeMs(text: string): number | undefined {
  // Nothing long is a time, and none is kept.
  return text.length > MAX_TIME_CHARACTERS ? undefined : readLately(text);
}
