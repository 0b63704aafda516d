import { cpus, loadavg, release, totalmem, type } from 'node:os';

/** On what a benchmark ran. */
export interface Machine {
  readonly processors: string;
  readonly memoryGigabytes: number;
  readonly system: string;
  readonly node: string;
  /** How many processes wanted a processor in the minute before: figures of a busy machine vary. */
  readonly loadBefore: number;
}

const GIGABYTE = 1_024 ** 3;

export function describeMachine(): Machine {
  const all = cpus();
  return {
    processors: `${all.length} x ${all[0]?.model ?? 'unknown'}`,
    memoryGigabytes: Math.round(totalmem() / GIGABYTE),
    system: `${type()} ${release()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

export function showMachine(machine: Machine): string {
  const { processors, memoryGigabytes, system, node, loadBefore } = machine;
  return `${processors}, ${memoryGigabytes} GB, ${system}, Node ${node}, load before ${loadBefore}`;
}
