import { residentMegabytes } from './process-usage.ts';
import { spread } from './spread.ts';
import type { Spread } from './spread.ts';

/** The memory of a process, sampled while something goes on. */
export interface MemoryCurve extends Disposable {
  /** What it was since the last call. */
  step(): Spread;
}

const SAMPLE_EVERY_MS = 250;

/** Begins to sample. */
export function sampleMemory(pid: number): MemoryCurve {
  let samples: number[] = [];
  const sample = () => samples.push(residentMegabytes(pid));
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return {
    step() {
      sample();
      const summary = spread(samples);
      samples = [];
      return summary;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
