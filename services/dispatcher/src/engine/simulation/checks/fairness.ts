import type { Effect, Now } from '../../effect.ts';
import { isCallable, sendLimit, sendsPerSecond, type Endpoint } from '../../endpoint.ts';
import type { EngineLimits } from '../../limits.ts';
import { sendableAtMs } from '../../rate-limit.ts';
import { PART_OF } from '../../speed.ts';
import type { EngineState } from '../../state.ts';

/**
 * How many sends to others may come before one to an endpoint that could send all the time, for each
 * endpoint: whoever has the turn sends up to four times, and each has to pay back for as many.
 */
const MOST_PASSED_OVER = 20;
/** Who could send does so at once; a time that has come is noticed by a timer. */
const LONGEST_IDLE_MS = 5;
/**
 * Shares that have grown are noticed with the next answers, and these may take long; so does whoever may
 * use the room at an origin first, and has its share.
 */
const LONGEST_OVER_SHARE_MS = 20_000;
/** Several times as long as the slowest of all sends takes. */
const LONGEST_WAIT_MS = 60_000;

/** What is left is kept for tenants that come. */
const SHARED = 7 / 8;

/** How an endpoint waits. Times are of the monotonic clock. */
interface Waiting {
  /** Sends to others since it could send; undefined when it could not. */
  passedOver: number | undefined;
  /** Since when it could send although there is room. */
  idleSinceMs: number | undefined;
  /** Since when it has something queued, and may be called. */
  sinceMs: number | undefined;
}

/** What an engine was just given, and what it did. */
export interface Step {
  readonly now: Now;
  readonly leaseUntilMs: number;
  readonly effects: readonly Effect[];
}

/**
 * Nobody who could send waits while others send without end:
 *
 * - While there is room, whoever could send does so with the next step.
 * - While there is none, others send only so often before it is its turn.
 * - Whatever stands in its way, it does so for a limited time.
 */
export class Fairness {
  private readonly limits: EngineLimits;
  private readonly waiting = new Map<Endpoint, Waiting>();

  constructor(limits: EngineLimits) {
    this.limits = limits;
  }

  check(state: EngineState, step: Step): void {
    const sent = sentTo(step.effects);
    for (const endpoint of this.waiting.keys()) {
      if (state.endpoints.get(endpoint.id) !== endpoint) this.waiting.delete(endpoint);
    }
    for (const endpoint of state.endpoints.values()) {
      const before = sent.has(endpoint) ? undefined : this.waiting.get(endpoint);
      const waits = this.follow(state, { endpoint, before, sends: sumOf(sent) }, step);
      if (waits === undefined) this.waiting.delete(endpoint);
      else this.waiting.set(endpoint, waits);
    }
  }

  private follow(state: EngineState, { endpoint, before, sends }: Followed, step: Step) {
    const { now, leaseUntilMs } = step;
    const nowMs = now.monotonicMs;
    if (endpoint.queued === 0 || !isCallable(endpoint) || nowMs >= leaseUntilMs) return undefined;
    const waits: Waiting = {
      passedOver: undefined,
      idleSinceMs: undefined,
      sinceMs: before?.sinceMs ?? nowMs,
    };
    if (nowMs - (waits.sinceMs ?? nowMs) > LONGEST_WAIT_MS) {
      throw new Error(`${endpoint.id} waits for ever.`);
    }
    if (!couldSend(state, endpoint, now)) return waits;
    waits.passedOver = before?.passedOver === undefined ? 0 : before.passedOver + sends;
    if (waits.passedOver > MOST_PASSED_OVER * (state.endpoints.size + 1)) {
      throw new Error(`${endpoint.id} could send, and others do.`);
    }
    if (state.inFlight >= this.limits.maxInFlight) return waits;
    waits.idleSinceMs = before?.idleSinceMs ?? nowMs;
    const { tenant } = endpoint;
    const isCrowded = tenant !== undefined && state.crowded.has(tenant);
    const { waiting } = state.origins.get(endpoint.view?.origin ?? '') ?? {};
    const isBehind = state.crowded.size > 0 && waiting?.has(endpoint) === true;
    const hasShare = state.overShare.has(endpoint) || isCrowded || isBehind;
    const mostMs = hasShare && state.inFlight > 0 ? LONGEST_OVER_SHARE_MS : LONGEST_IDLE_MS;
    if (nowMs - waits.idleSinceMs > mostMs) {
      throw new Error(`${endpoint.id} could send, and nobody does.`);
    }
    return waits;
  }
}

interface Followed {
  readonly endpoint: Endpoint;
  readonly before: Waiting | undefined;
  readonly sends: number;
}

function sentTo(effects: readonly Effect[]): Map<Endpoint, number> {
  const sent = new Map<Endpoint, number>();
  for (const effect of effects) {
    if (effect.kind !== 'send') continue;
    const { endpoint } = effect.delivery.endpointLane;
    sent.set(endpoint, (sent.get(endpoint) ?? 0) + 1);
  }
  return sent;
}

function sumOf(sent: ReadonlyMap<Endpoint, number>): number {
  let sends = 0;
  for (const each of sent.values()) sends += each;
  return sends;
}

/** Whether nothing but what all of them may have under way is in the way of a send. */
function couldSend(state: EngineState, endpoint: Endpoint, now: Now): boolean {
  const { limits } = state.options;
  const { view, rate, inFlight, tenant } = endpoint;
  if (inFlight >= sendLimit(endpoint)) return false;
  const perSecond = sendsPerSecond(endpoint, limits);
  if (perSecond !== undefined && sendableAtMs(rate, perSecond) > now.monotonicMs) return false;
  const origin = state.origins.get(view?.origin ?? '');
  if ((origin?.inFlight ?? 0) >= limits.maxInFlightPerOrigin) return false;
  if (tenant === undefined || state.inFlight < limits.maxInFlight / 2) return true;
  const share = Math.max(1, (limits.maxInFlight * SHARED) / state.tenants.size);
  if (tenant.inFlight >= share) return false;
  const others = tenant.inFlight - tenant.fastInFlight;
  if (endpoint.speed === 'fast') {
    return inFlight < Math.max(1, (share - others) / tenant.fastEndpoints);
  }
  const room = Math.max(1, share * PART_OF[endpoint.speed]);
  const each = Math.max(1, room / (tenant.endpoints - tenant.fastEndpoints));
  return others < room && inFlight < each;
}
