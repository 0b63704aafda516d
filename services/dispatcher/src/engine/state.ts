import type { Delivery, LogEvent } from './delivery.ts';
import { Deadlines } from './deadlines.ts';
import type { Effect, Now, RowSearch } from './effect.ts';
import {
  createEndpointLane,
  forgetPairs,
  startLagging,
  type EndpointLane,
} from './endpoint-lane.ts';
import {
  createEndpoint,
  isSound,
  type Endpoint,
  type EndpointView,
  type Origin,
  type Tenant,
} from './endpoint.ts';
import type { LaneWindow } from './lane-window.ts';
import type { EngineLimits } from './limits.ts';
import { createPace, type Pace } from './pace.ts';
import { TURN_CREDIT } from './scheduling.ts';
import { Turns } from './turns.ts';

/** What the engine is given: settings, and the two things it cannot know by itself. */
export interface EngineOptions {
  readonly retryScheduleMs: readonly number[];
  readonly deliveryTimeoutMs: number;
  /** What waited longer is dead. */
  readonly retentionMs: number;
  readonly limits: EngineLimits;
  /** Numbers in [0, 1), for jitter. */
  random(): number;
  /** The revision of the set of endpoints as it is seen now. */
  revision(): number;
  /** The endpoint as the set shows it now; absent once it is unregistered. */
  view(endpointId: string): EndpointView | undefined;
  /** Whether a subscription of the endpoint still matches the event. */
  matches(view: EndpointView, event: LogEvent): boolean;
}

/** All that the engine holds. Its size depends on the limits and on how many endpoints there are. */
export interface EngineState {
  readonly options: EngineOptions;
  readonly windows: Map<number, LaneWindow>;
  readonly endpoints: Map<string, Endpoint>;
  /** Tenants that have something queued or in flight. */
  readonly tenants: Map<string, Tenant>;
  /** Tenants with endpoints that may have room to send what they have queued. */
  readonly turns: Turns<Tenant>;
  /** Where something is under way. */
  readonly origins: Map<string, Origin>;
  /** Endpoints that could send if they had not their share of their tenant's under way. */
  readonly overShare: Set<Endpoint>;
  /** Tenants that could send if they had not their share under way. */
  readonly crowded: Set<Tenant>;
  /** When endpoints may be called again: rate limits and circuits, monotonic clock. */
  readonly wakeTimes: Deadlines<Endpoint>;
  /** When rows may be due, wall clock. */
  readonly dueTimes: Deadlines<EndpointLane>;
  /** Endpoints with due rows that may have room for them. */
  readonly claimable: Set<Endpoint>;
  effects: Effect[];
  inFlight: number;
  /** Heads of pairs that were read and wait to be sent. */
  queued: number;
  /** Claimed rows that wait to be sent. */
  claimed: number;
  claimedBytes: number;
  readonly pace: Pace;
  /** How many deliveries an event makes: at once as many as the last one, and then fewer by and by. */
  fanOut: number;
  /** Deliveries in memory that are neither settled nor left to their row. */
  held: number;
  heldBytes: number;
  /** Attempts not yet handed over for recording. */
  unrecorded: number;
  recordingUnderWay: boolean;
  recordingNumber: number;
  /** One that reads rows for late answers counts, too. */
  claimUnderWay: boolean;
  /** Lanes with cursors behind which something may be read; who was refilled last stands last. */
  readonly refillable: Set<LaneWindow>;
  /** Lanes that are being refilled; until all of these are, no other one is. */
  refillsUnderWay: number;
  /** Rows of late answers, to be looked for. */
  readonly searches: RowSearch[];
  /** When rows of endpoints that are not called are looked through next, monotonic clock. */
  expireAtMs: number;
  /** Lanes in which rows may be about to die. */
  readonly expiring: Set<LaneWindow>;
  /** The recording under way lets rows die. */
  expiryUnderWay: boolean;
  /** When the next draining lane is to be handed over as it is, monotonic clock. */
  handOverAtMs: number;
  /** Sends begin only before this time, monotonic clock. */
  leaseUntilMs: number;
}

/** Makes the state of an engine that owns no lane. */
export function createState(options: EngineOptions): EngineState {
  return {
    options,
    windows: new Map(),
    endpoints: new Map(),
    tenants: new Map(),
    turns: new Turns(TURN_CREDIT),
    origins: new Map(),
    overShare: new Set(),
    crowded: new Set(),
    wakeTimes: new Deadlines(),
    dueTimes: new Deadlines(),
    claimable: new Set(),
    effects: [],
    inFlight: 0,
    queued: 0,
    claimed: 0,
    claimedBytes: 0,
    pace: createPace(),
    fanOut: 1,
    held: 0,
    heldBytes: 0,
    unrecorded: 0,
    recordingUnderWay: false,
    recordingNumber: 0,
    claimUnderWay: false,
    refillable: new Set(),
    refillsUnderWay: 0,
    searches: [],
    expireAtMs: -Infinity,
    expiring: new Set(),
    expiryUnderWay: false,
    handOverAtMs: Infinity,
    leaseUntilMs: -Infinity,
  };
}

/** Finds an endpoint, or begins to hold it. */
export function endpointOf(state: EngineState, endpointId: string): Endpoint {
  let endpoint = state.endpoints.get(endpointId);
  if (endpoint === undefined) {
    const { maxInFlightPerEndpoint } = state.options.limits;
    endpoint = createEndpoint(endpointId, state.options.view(endpointId), maxInFlightPerEndpoint);
    state.endpoints.set(endpointId, endpoint);
  }
  return endpoint;
}

/** Forgets an unregistered endpoint of which nothing is left. */
export function forgetIfIdle(state: EngineState, endpoint: Endpoint): void {
  if (endpoint.view !== undefined || endpoint.inFlight > 0 || endpoint.queued > 0) return;
  for (const { rowCount, claimed, cursor } of lanesOf(state, endpoint)) {
    if (rowCount > 0 || claimed !== undefined || cursor !== undefined) return;
  }
  for (const endpointLane of lanesOf(state, endpoint)) {
    forgetPairs(endpointLane);
    endpointLane.window.endpointLanes.delete(endpoint);
  }
  state.endpoints.delete(endpoint.id);
  state.wakeTimes.forget(endpoint);
}

/** The lanes in which something is known of an endpoint. */
export function* lanesOf({ windows }: EngineState, endpoint: Endpoint): Generator<EndpointLane> {
  for (const { endpointLanes } of windows.values()) {
    const endpointLane = endpointLanes.get(endpoint);
    if (endpointLane !== undefined) yield endpointLane;
  }
}

/** Finds an endpoint's deliveries of a lane, if it holds any. */
export function findEndpointLane(
  { endpoints }: EngineState,
  endpointId: string,
  { endpointLanes }: LaneWindow,
): EndpointLane | undefined {
  const endpoint = endpoints.get(endpointId);
  return endpoint && endpointLanes.get(endpoint);
}

/** Finds an endpoint's deliveries of a lane, or begins to hold them: for a delivery that is added. */
export function endpointLaneFor(
  state: EngineState,
  endpointId: string,
  window: LaneWindow,
): EndpointLane {
  const endpoint = endpointOf(state, endpointId);
  let endpointLane = window.endpointLanes.get(endpoint);
  if (endpointLane === undefined) {
    endpointLane = createEndpointLane(endpoint, window, 0);
    window.endpointLanes.set(endpoint, endpointLane);
    if (!isSound(endpoint)) startLagging(endpointLane);
  }
  return endpointLane;
}

/** Finds an endpoint's deliveries of a lane, or begins to hold them: for its rows. */
export function endpointLaneOf(
  state: EngineState,
  endpointId: string,
  window: LaneWindow,
): EndpointLane {
  const endpointLane = endpointLaneFor(state, endpointId, window);
  endpointLane.isKept = true;
  return endpointLane;
}

/** There may be room for rows of the endpoint that are due. */
export function claimAgain({ claimable }: EngineState, endpoint: Endpoint): void {
  if (endpoint.dueLanes !== undefined) claimable.add(endpoint);
}

/** Says whether memory holds all it may: then nothing is read. */
export function isFull({ held, heldBytes, options: { limits } }: EngineState): boolean {
  return held >= limits.maxHeld || heldBytes >= limits.maxHeldBytes;
}

/**
 * Says how many deliveries may still be read and queued. What waits for longer than a second is parked,
 * which costs far more than to read it later; so an endpoint that takes nothing has this room for a
 * second at most, and lags from then on.
 */
export function roomToQueue({ queued, pace, options: { limits } }: EngineState): number {
  return Math.max(limits.minQueued, (pace.perSecond * limits.maxQueuedMs) / 1_000) - queued;
}

/** Says how many more pairs with parked rows may be known. */
export function blockedPairsLeft({ windows, options: { limits } }: EngineState): number {
  let left = limits.maxBlockedPairsInAll;
  for (const { blockedPairs } of windows.values()) left -= blockedPairs;
  return left;
}

/** Counts a delivery that is now in memory. */
export function hold(state: EngineState, delivery: Delivery): void {
  state.held += 1;
  state.heldBytes += delivery.event.body.length;
}

/** Counts a delivery that is settled or left to its row. */
export function letGo(state: EngineState, delivery: Delivery): void {
  state.held -= 1;
  state.heldBytes -= delivery.event.body.length;
}

/** Marks that something of the lane waits to be written. */
export function markUnwritten(window: LaneWindow, now: Now): void {
  if (window.unwrittenSinceMs === Infinity) window.unwrittenSinceMs = now.monotonicMs;
}
