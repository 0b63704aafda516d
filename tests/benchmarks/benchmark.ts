import type { Estimate, Spread } from './measuring/spread.ts';

/** How much a benchmark does: enough to see that it works, enough to compare, or all there is. */
export type Size = 'quick' | 'usual' | 'full';

/** What a benchmark is asked for. */
export interface BenchmarkRun {
  readonly size: Size;
  /** How often each thing is measured; the benchmark's own number if undefined. */
  readonly rounds: number | undefined;
  /** What is opened on the way is closed from here, also after an error or Ctrl-C. */
  readonly opened: AsyncDisposableStack;
  /** Tells how far it is. */
  say(line: string): void;
}

/** A line of the table. Every line of a table has the same names, which end in their units. */
export type Row = Readonly<Record<string, string | number | Spread | Estimate>>;

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** Measures something, and what bounds it, in the same run. */
export type Benchmark = (run: BenchmarkRun) => Promise<readonly Table[]>;
