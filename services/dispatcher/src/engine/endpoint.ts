import { createCircuit, type Circuit, type CircuitRules } from './circuit.ts';
import { createConcurrencyLimit, type ConcurrencyLimit } from './concurrency-limit.ts';
import type { ClaimedRows } from './claim-budget.ts';
import type { Delivery } from './delivery.ts';
import type { EndpointLane } from './endpoint-lane.ts';
import { Fifo } from './fifo.ts';
import type { EngineLimits } from './limits.ts';
import { createPace, type Pace } from './pace.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import type { Speed } from './speed.ts';
import type { Turns, TurnTaker } from './turns.ts';

/** What the engine needs to know of an endpoint; the rest is the sender's. */
export interface EndpointView {
  readonly endpointId: string;
  readonly tenant: string;
  readonly state: 'active' | 'paused' | 'disabled';
  /** Its address. */
  readonly url: string;
  /** Scheme, host and port of its address: endpoints that have it in common share connections. */
  readonly origin: string;
  /** No more sends than these begin in a second. */
  readonly rateLimitPerSecond?: number | undefined;
  /** No more sends than these are under way at a time. */
  readonly maxInFlight?: number | undefined;
  /** So many failures in a row open its circuit. */
  readonly circuitFailures?: number | undefined;
  /** Probes of its open circuit are no further apart. */
  readonly circuitLongestWaitMs?: number | undefined;
}

/** An endpoint that has something to send, or had. */
export interface Endpoint extends TurnTaker {
  readonly id: string;
  /** As the set of endpoints shows it; absent once it is unregistered. */
  view: EndpointView | undefined;
  /** True from an answer 410 until the set of endpoints says how the endpoint stands. */
  gone: boolean;
  circuit: Circuit;
  concurrency: ConcurrencyLimit;
  /** How long its answers take on average; undefined before the first one. */
  answerMs: number | undefined;
  speed: Speed;
  /** Answers to attempts that began before say nothing of its address, monotonic clock. */
  addressedAtMs: number;
  readonly rate: RateLimit;
  /** Heads of pairs, oldest first. Some may have been parked or settled meanwhile. */
  readonly queue: Fifo<Delivery>;
  /** How many in the queue still are `queued`. */
  queued: number;
  /** Claimed rows that are queued, or wait behind another one. */
  claimed: number;
  inFlight: number;
  /** How many of its sends end in a second; measured when rows of it are claimed. */
  readonly pace: Pace;
  /** While it has something queued or in flight. */
  tenant: Tenant | undefined;
  /** Where it waits for room. */
  waitsAt: Origin | undefined;
  /** Lanes in which rows are due that were not claimed for want of room; absent when there are none. */
  dueLanes: Set<EndpointLane> | undefined;
}

/** A tenant whose endpoints have something queued or in flight. */
export interface Tenant extends TurnTaker, ClaimedRows {
  readonly id: string;
  /** Its endpoints that have something queued and may have room to send it. */
  readonly turns: Turns<Endpoint>;
  /** How many of its endpoints have something queued or in flight. */
  endpoints: number;
  inFlight: number;
  /** How many of these endpoints are fast, and what they have under way. */
  fastEndpoints: number;
  fastInFlight: number;
}

/** A scheme, host and port to which something is under way. */
export interface Origin {
  readonly name: string;
  inFlight: number;
  /** Endpoints that could send if less were under way there. Who has waited longest may try first. */
  readonly waiting: Set<Endpoint>;
}

/**
 * Makes an endpoint with nothing to send.
 *
 * @param maxInFlight no more sends than these are under way, however well it takes them.
 */
export function createEndpoint(
  id: string,
  view: EndpointView | undefined,
  maxInFlight = Infinity,
): Endpoint {
  return {
    id,
    view,
    gone: false,
    circuit: createCircuit(),
    concurrency: createConcurrencyLimit(maxInFlight),
    answerMs: undefined,
    speed: 'untried',
    addressedAtMs: -Infinity,
    rate: createRateLimit(),
    queue: new Fifo(),
    queued: 0,
    claimed: 0,
    inFlight: 0,
    pace: createPace(),
    tenant: undefined,
    waitsAt: undefined,
    credit: 0,
    inRing: false,
    dueLanes: undefined,
  };
}

/** Says whether the endpoint is to be called: it is registered, and neither paused nor disabled. */
export function isActive(endpoint: Endpoint): boolean {
  return endpoint.view?.state === 'active' && !endpoint.gone;
}

/** Says whether the endpoint may be called now, with a probe at least. */
export function isCallable(endpoint: Endpoint): boolean {
  return isActive(endpoint) && endpoint.circuit.state !== 'open';
}

/** Says whether the endpoint may be called from memory: nothing is wrong with it. */
export function isSound(endpoint: Endpoint): boolean {
  return isActive(endpoint) && endpoint.circuit.state === 'closed';
}

/** How many sends to it may be under way. */
export function sendLimit({ circuit, concurrency, view }: Endpoint): number {
  if (circuit.state !== 'closed') return 1;
  return Math.min(Math.floor(concurrency.current), view?.maxInFlight ?? Infinity);
}

/** How many sends to it may begin in a second: as it says itself, else as all others; undefined: any number. */
export function sendsPerSecond({ view }: Endpoint, limits: EngineLimits): number | undefined {
  return view?.rateLimitPerSecond ?? limits.rateLimitPerSecond;
}

/** When its circuit opens and is probed: as it says itself, else as all others. */
export function circuitRules({ view }: Endpoint, rules: CircuitRules): CircuitRules {
  const longestWaitMs = view?.circuitLongestWaitMs ?? rules.longestWaitMs;
  return {
    failures: view?.circuitFailures ?? rules.failures,
    firstWaitMs: Math.min(rules.firstWaitMs, longestWaitMs),
    longestWaitMs,
  };
}

/** Notes that rows are due in a lane. */
export function addDueLane(endpoint: Endpoint, endpointLane: EndpointLane): void {
  endpoint.dueLanes ??= new Set();
  endpoint.dueLanes.add(endpointLane);
}

/** Notes that the rows that are due in a lane are claimed, or somebody else's. */
export function removeDueLane(endpoint: Endpoint, endpointLane: EndpointLane): void {
  endpoint.dueLanes?.delete(endpointLane);
  if (endpoint.dueLanes?.size === 0) endpoint.dueLanes = undefined;
}

/** Takes the oldest delivery that still is queued, or undefined. */
export function nextQueued(endpoint: Endpoint): Delivery | undefined {
  for (;;) {
    const delivery = endpoint.queue.shift();
    if (delivery === undefined || delivery.state === 'queued') return delivery;
  }
}
