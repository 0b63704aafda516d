import type { Endpoint } from './endpoint.ts';

/**
 * How fast an endpoint answers, whatever it says. What a slow one has under way, or claimed, holds its place
 * for long: thousands of them would hold all places, and a fast one would wait for theirs. Therefore slow
 * endpoints never have all of a budget, and those that are still untried have a little more, so that they
 * are tried soon. (Schedulers that move what uses up its time slice to a lower queue do it for the same
 * reason: multilevel feedback; Corbató et al., 1962.)
 */
export type Speed = 'untried' | 'fast' | 'slow';

/**
 * Answers that take so long on average are slow. So the eighth that is left to fast endpoints alone, 256 of
 * the 2,048 that may be under way, makes 500 sends a second at least.
 */
export const SLOW_MS = 500;
/**
 * Up to which part of its tenant's share of sends, or of the claims that are free, an endpoint may add to what
 * its tenant has. What is counted of that for sends is what all endpoints have that are not fast.
 */
export const PART_OF: Readonly<Record<Speed, number>> = { fast: 1, untried: 7 / 8, slow: 3 / 4 };
/** The weight of the newest answer in the mean: a single one that is late says little. */
const WEIGHT = 0.2;

/** Learns from an answer, or from none in time, how long the endpoint takes. */
export function noteDuration(endpoint: Endpoint, durationMs: number): void {
  const { answerMs = durationMs } = endpoint;
  endpoint.answerMs = answerMs + (durationMs - answerMs) * WEIGHT;
  setSpeed(endpoint, endpoint.answerMs < SLOW_MS ? 'fast' : 'slow');
}

/** Nothing is known of the endpoint any more. */
export function forgetDurations(endpoint: Endpoint): void {
  endpoint.answerMs = undefined;
  setSpeed(endpoint, 'untried');
}

function setSpeed(endpoint: Endpoint, speed: Speed): void {
  if (endpoint.speed === speed) return;
  countFast(endpoint, -1, endpoint.inFlight);
  endpoint.speed = speed;
  countFast(endpoint, 1, endpoint.inFlight);
}

/** Counts an endpoint, and what it has under way, among the fast ones of its tenant if it is one. */
export function countFast({ tenant, speed }: Endpoint, change: 1 | -1, inFlight: number): void {
  if (tenant === undefined || speed !== 'fast') return;
  tenant.fastEndpoints += change;
  tenant.fastInFlight += change * inFlight;
}
