import type { SimulatedProcess } from './processes/process.ts';

/** Something that is on its way. */
export interface Pending {
  /** In whom it happens; undefined when it needs nobody. */
  readonly process: SimulatedProcess | undefined;
  /** It happens at a server for the process: it may do so although that sleeps or dies meanwhile. */
  readonly isAtServer?: boolean;
  run(): void;
}

interface Timed {
  readonly atMs: number;
  readonly pending: Pending;
}

/** What is to happen when, in true time: that of nobody's clock. */
export class Timeline {
  nowMs = 0;
  /** The latest one first. */
  private timed: Timed[] = [];

  /** What comes at the same time happens in the order in which it was noted. */
  later(inMs: number, pending: Pending): void {
    const atMs = this.nowMs + inMs;
    let low = 0;
    let high = this.timed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.timed[middle]?.atMs ?? 0) > atMs) low = middle + 1;
      else high = middle;
    }
    this.timed.splice(low, 0, { atMs, pending });
  }

  /** Takes what is next, and moves on to its time; undefined when that is later than `untilMs`. */
  next(untilMs: number): Pending | undefined {
    const last = this.timed.at(-1);
    if (last === undefined || last.atMs > untilMs) return undefined;
    this.timed.pop();
    this.nowMs = Math.max(this.nowMs, last.atMs);
    return last.pending;
  }

  /** Drops everything of a process but what is to be kept. */
  drop(process: SimulatedProcess, isKept: (pending: Pending) => boolean): void {
    this.timed = this.timed.filter(({ pending }) => {
      return pending.process !== process || isKept(pending);
    });
  }
}
