/** A time after RFC 3339. */
const TIME = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Reads a time; what is finer than a millisecond is cut off.
 *
 * @returns milliseconds since 1970, or undefined for what is no time.
 */
export function readTimeMs(text: string): number | undefined {
  const [matched, year, month, day] = TIME.exec(text) ?? [];
  // `Date` takes the 30th of February for the 1st of March.
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const timeMs = Date.parse(matched ?? '');
  return date.getUTCDate() === Number(day) && !Number.isNaN(timeMs) ? timeMs : undefined;
}
