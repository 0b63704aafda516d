import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Linux counts the time of processes in ticks of this length. */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  readonly cpuSeconds: number;
}

/**
 * Adds up the processor time of processes and all that descends from them, the ended ones included.
 *
 * @returns seconds, in user and system mode.
 */
export function cpuSecondsOf(pids: readonly number[]): number {
  return familyOf(pids).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** The memory that a process has in RAM now, in megabytes. */
export function residentMegabytes(pid: number): number {
  return readMegabytes(pid, 'status', /^VmRSS:\s+(\d+) kB/m);
}

/**
 * The memory that processes and all that descends from them have in RAM now, in megabytes. What they
 * share, as sessions of Postgres do, is counted once. See proc_pid_smaps(5).
 */
export function sharedMegabytes(pids: readonly number[]): number {
  const parts = familyOf(pids).map(({ pid }) =>
    readMegabytes(pid, 'smaps_rollup', /^Pss:\s+(\d+) kB/m),
  );
  return parts.reduce((sum, megabytes) => sum + megabytes, 0);
}

/** How many TCP connections a process has to a port of this machine. See proc_pid_net(5). */
export function connectionsTo(port: number, pid: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = new Set(
    readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[2]?.endsWith(remote) === true)
      .map((fields) => `socket:[${fields[9]}]`),
  );
  return readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
    return sockets.has(linkOf(`/proc/${pid}/fd/${descriptor}`));
  }).length;
}

/** The processes themselves, and all that descends from them. */
function familyOf(pids: readonly number[]): readonly ProcessStat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)));
  const wanted = new Set(pids);
  let grown = true;
  while (grown) {
    const before = wanted.size;
    for (const { pid, parentPid } of all) if (wanted.has(parentPid)) wanted.add(pid);
    grown = wanted.size > before;
  }
  return all.filter(({ pid }) => wanted.has(pid));
}

/** @returns 0 for a process that has ended meanwhile. */
function readMegabytes(pid: number, file: string, pattern: RegExp): number {
  try {
    const [, kilobytes = '0'] = pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8')) ?? [];
    return Math.round(Number(kilobytes) / 1_024);
  } catch {
    return 0;
  }
}

/** A descriptor may be closed between being listed and being looked at. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** See proc_pid_stat(5): behind the name in parentheses come the state, the parent, and so on. */
function readStat(pid: number): ProcessStat[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return [{ pid, parentPid: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND }];
  } catch {
    // It has ended meanwhile; its time is counted with its parent.
    return [];
  }
}
