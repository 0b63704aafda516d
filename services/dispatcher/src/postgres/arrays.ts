/**
 * Array literals for `unnest`, written at once instead of element by element: a recording carries
 * thousands of values, and most of them need no escaping.
 */

/** Integers, for `::int[]` and `::bigint[]`. */
export function integers(values: readonly (number | undefined)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`;
}

/** Words without quotes, backslashes or control characters, such as ids and event names. */
export function words(values: readonly (string | undefined)[]): string {
  return `{${values.map((value) => (value === undefined ? 'null' : `"${value}"`)).join(',')}}`;
}

/** Any text. */
export function texts(values: readonly (string | undefined)[]): string {
  return `{${values.map(quote).join(',')}}`;
}

/** Milliseconds since 1970, for `::timestamptz[]`. */
export function times(valuesMs: readonly (number | undefined)[]): string {
  return words(
    valuesMs.map((valueMs) =>
      valueMs === undefined ? undefined : new Date(valueMs).toISOString(),
    ),
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

function quote(value: string | undefined): string {
  if (value === undefined) return 'null';
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
