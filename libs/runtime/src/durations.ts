const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

type Unit = keyof typeof MS_PER_UNIT;

/**
 * Reads a duration such as `500ms`, `5s`, `5m`, `2h` or `30d`.
 *
 * @returns milliseconds; undefined when the text is no duration.
 */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  const unit = match?.[2];
  return unit !== undefined && isUnit(unit) ? Number(match?.[1]) * MS_PER_UNIT[unit] : undefined;
}

/** Writes milliseconds in the largest unit that leaves no remainder. */
export function formatDuration(durationMs: number): string {
  const units: readonly Unit[] = ['d', 'h', 'm', 's'];
  const unit = units.find((candidate) => durationMs % MS_PER_UNIT[candidate] === 0) ?? 'ms';
  return `${durationMs / MS_PER_UNIT[unit]}${unit}`;
}

function isUnit(text: string): text is Unit {
  return Object.hasOwn(MS_PER_UNIT, text);
}
