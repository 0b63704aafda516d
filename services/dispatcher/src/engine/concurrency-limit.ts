/**
 * How many deliveries may be under way to one endpoint at a time.
 *
 * It is found by additive increase and multiplicative decrease (Chiu and Jain, 1989), in the form
 * that TCP gave it (RFC 5681): it begins small and grows by one with each good answer, which doubles
 * it in each round; once the receiver was overloaded, it is halved, and from then on grows by one in
 * each round. A round shrinks it once, however many of its attempts fail.
 */
export interface ConcurrencyLimit {
  /** A fraction counts only when it has become a whole. */
  current: number;
  /** Below it, the limit grows with each good answer. */
  threshold: number;
  /** The mean duration of good answers over a long time; undefined before the first one. */
  usualMs: number | undefined;
  /** Attempts that began before do not shrink it again, monotonic clock. */
  shrunkAtMs: number;
}

const FIRST_LIMIT = 8;
const LEAST_LIMIT = 1;
const SHRINK_TO = 0.5;
/** The weight of one answer in the mean: some hundred answers make a new one. */
const WEIGHT = 0.02;
/** An answer that takes so many times the usual duration says that the receiver is overloaded. */
const SLOW_TIMES = 4;
/** Below this, no duration says anything: this process and its network vary as much. */
const LEAST_SLOW_MS = 500;

/**
 * Makes the limit of an endpoint of which nothing is known.
 *
 * @param most the limit never grows beyond it.
 */
export function createConcurrencyLimit(most: number): ConcurrencyLimit {
  return {
    current: Math.min(FIRST_LIMIT, most),
    threshold: Infinity,
    usualMs: undefined,
    shrunkAtMs: -Infinity,
  };
}

/** One answer, or none in time. */
export interface LimitSample {
  /** The receiver said that it has too much to do (429, 503), or did not answer. */
  readonly isOverload: boolean;
  /** It accepted the delivery. */
  readonly isGood: boolean;
  readonly durationMs: number;
  /** How many were under way when the answer came, this one included. */
  readonly inFlight: number;
  readonly nowMs: number;
}

/**
 * Takes an answer into account.
 *
 * @param most the limit never grows beyond it.
 */
export function adaptLimit(limit: ConcurrencyLimit, sample: LimitSample, most: number): void {
  const { isOverload, isGood, durationMs, nowMs } = sample;
  const isSlow = isGood && isSlowFor(limit, durationMs);
  if (isGood) {
    limit.usualMs =
      limit.usualMs === undefined
        ? durationMs
        : limit.usualMs + (durationMs - limit.usualMs) * WEIGHT;
  }
  if (isOverload || isSlow) {
    if (nowMs - durationMs < limit.shrunkAtMs) return;
    limit.current = Math.max(LEAST_LIMIT, limit.current * SHRINK_TO);
    limit.threshold = limit.current;
    limit.shrunkAtMs = nowMs;
  } else if (isGood && sample.inFlight * 2 >= limit.current) {
    // Only a limit that is used says anything about more.
    const step = limit.current < limit.threshold ? 1 : 1 / limit.current;
    limit.current = Math.min(most, limit.current + step);
  }
}

function isSlowFor({ usualMs }: ConcurrencyLimit, durationMs: number): boolean {
  return usualMs !== undefined && durationMs > Math.max(LEAST_SLOW_MS, usualMs * SLOW_TIMES);
}
