/**
 * Writes a message as grpcurl would: fields in camelCase, 64-bit numbers as texts, times as RFC 3339.
 * Fields that are not set are left out.
 */
export function toJson(message: unknown): string {
  return JSON.stringify(toPlain(message), undefined, 2);
}

function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return String(value);
  }
  if (Array.isArray(value)) {
    return value.map(toPlain);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (isTimestamp(value)) {
    return new Date(Number(value.seconds) * 1_000 + value.nanos / 1_000_000).toISOString();
  }
  return Object.fromEntries(Object.entries(value).filter(isSet).map(toPlainEntry));
}

/** A oneof is named in JSON after the member that is set. */
function toPlainEntry([name, value]: [string, unknown]): readonly [string, unknown] {
  return isOneof(value) ? [value.$case, toPlain(value.value)] : [name, toPlain(value)];
}

function isSet([, value]: [string, unknown]): boolean {
  return value !== undefined && value !== '' && value !== 0 && value !== 0n;
}

function isTimestamp(value: object): value is { seconds: bigint; nanos: number } {
  return 'seconds' in value && typeof value.seconds === 'bigint' && 'nanos' in value;
}

function isOneof(value: unknown): value is { $case: string; value: unknown } {
  return typeof value === 'object' && value !== null && '$case' in value;
}
