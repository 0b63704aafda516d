/**
 * Array literals for `unnest`, written at once instead of element by element as pg does: a batch carries
 * thousands of values, and most of them need no escaping. A value that is undefined or null is null.
 */

/** Integers, for `::int[]` and `::bigint[]`. */
export function integers(values: readonly (number | bigint | null | undefined)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`;
}

/** Words without quotes, backslashes or control characters, such as ids and event names. */
export function words(values: readonly (string | undefined)[]): string {
  return `{${values.map((value) => (value === undefined ? 'null' : `"${value}"`)).join(',')}}`;
}

/** Any text. */
export function texts(values: readonly (string | null | undefined)[]): string {
  return `{${values.map(quote).join(',')}}`;
}

/** Milliseconds since 1970, for `::timestamptz[]`. Many in a row are the same. */
export function times(valuesMs: readonly (number | undefined)[]): string {
  let lastMs: number | undefined;
  let lastText: string | undefined;
  return words(
    valuesMs.map((valueMs) => {
      if (valueMs === undefined) return undefined;
      if (valueMs !== lastMs || lastText === undefined) {
        lastMs = valueMs;
        lastText = new Date(valueMs).toISOString();
      }
      return lastText;
    }),
  );
}

/** Bytes, for `::bytea[]`. */
export function bytes(values: readonly Buffer[]): string {
  return `{${values.map((value) => `"\\\\x${value.toString('hex')}"`).join(',')}}`;
}

/** Flags, for `::boolean[]`. */
export function flags(values: readonly boolean[]): string {
  return `{${values.join(',')}}`;
}

function quote(value: string | null | undefined): string {
  if (value === undefined || value === null) return 'null';
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
