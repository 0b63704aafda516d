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
  if ('$case' in value && 'value' in value) {
    return { [String(value.$case)]: toPlain(value.value) };
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => isSet(each))
      .map(([name, each]) =>
        name === 'change' ? Object.entries(Object(toPlain(each)))[0] : [name, toPlain(each)],
      ),
  );
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== '' && value !== 0 && value !== 0n;
}

function isTimestamp(value: object): value is { seconds: bigint; nanos: number } {
  return 'seconds' in value && typeof value.seconds === 'bigint' && 'nanos' in value;
}
