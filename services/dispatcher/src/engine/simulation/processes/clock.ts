import type { Now } from '../../effect.ts';

/** The clocks of one process. The true time is nobody's. */
export class Clock {
  /** How far the wall clock is ahead. */
  aheadMs = 0;
  /** For how long the monotonic clock stood still. */
  stoodStillMs = 0;
  private readonly startMs: number;

  /** @param startMs the true time at which the monotonic clock begins. */
  constructor(startMs: number) {
    this.startMs = startMs;
  }

  at(trueMs: number): Now {
    return {
      wallMs: trueMs + this.aheadMs,
      monotonicMs: trueMs - this.startMs - this.stoodStillMs,
    };
  }
}
