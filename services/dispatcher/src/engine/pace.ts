/** How many sends end in a second, so that no more is read than can be sent soon. */
export interface Pace {
  perSecond: number;
  /** Sends that ended since. */
  ended: number;
  sinceMs: number;
}

const MEASURE_EVERY_MS = 200;
/** The weight of the newest measurement. */
const WEIGHT = 0.3;

export function createPace(): Pace {
  return { perSecond: 0, ended: 0, sinceMs: -Infinity };
}

/** Measures again when it is time. `nowMs` is of the monotonic clock. */
export function measurePace(pace: Pace, nowMs: number): void {
  const tookMs = nowMs - pace.sinceMs;
  if (tookMs < MEASURE_EVERY_MS) return;
  const perSecond = (pace.ended * 1_000) / tookMs;
  pace.perSecond += (perSecond - pace.perSecond) * WEIGHT;
  pace.ended = 0;
  pace.sinceMs = nowMs;
}
