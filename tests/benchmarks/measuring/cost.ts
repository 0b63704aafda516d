import { cpuSecondsOf, sharedMegabytes } from './process-usage.ts';

/** Process ids by what the processes are, such as `dispatcher` or `postgres`. */
export type ProcessGroups = Readonly<Record<string, readonly number[]>>;

/** What a stretch of time cost: all processes of the groups, and all that descends from them. */
export interface Cost {
  readonly cpuSeconds: number;
  readonly cpuSecondsOf: Readonly<Record<string, number>>;
  /** In RAM at the end. */
  readonly megabytesOf: Readonly<Record<string, number>>;
}

/** Starts to count. Returns what ends the stretch. */
export function startCost(groups: ProcessGroups): () => Cost {
  const before = mapValues(groups, cpuSecondsOf);
  return () => {
    const spent = mapValues(groups, (pids, name) => cpuSecondsOf(pids) - (before[name] ?? 0));
    return {
      cpuSeconds: Object.values(spent).reduce((sum, seconds) => sum + seconds, 0),
      cpuSecondsOf: spent,
      megabytesOf: mapValues(groups, sharedMegabytes),
    };
  };
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value, name: string) => Result,
): Record<string, Result> {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, map(value, name)]),
  );
}
