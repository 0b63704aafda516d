import type { Delivery, LogEvent, Settlement } from './delivery.ts';
import { Deadlines } from './deadlines.ts';
import type { Effect, Now, RowSearch } from './effect.ts';
import {
  createEndpointLane,
  leavePair,
  removeClaimed,
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
import { noteSettled, type LaneWindow } from './lane-window.ts';
import type { EngineLimits } from './limits.ts';
import { createPace, type Pace } from './pace.ts';
import {
  enterTenant,
  joinTurns,
  leaveTenantIfIdle,
  stopWaiting,
  TURN_CREDIT,
} from './scheduling.ts';
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
  /** Heads of pairs and claimed rows that wait to be sent. */
  queued: number;
  readonly pace: Pace;
  /** The mean number of deliveries that an event makes. */
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
  /** Lagging endpoints with a cursor in a lane that may have room for what is behind it. */
  readonly refillable: Set<EndpointLane>;
  refillUnderWay: boolean;
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
    pace: createPace(),
    fanOut: 1,
    held: 0,
    heldBytes: 0,
    unrecorded: 0,
    recordingUnderWay: false,
    recordingNumber: 0,
    claimUnderWay: false,
    refillable: new Set(),
    refillUnderWay: false,
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
    endpoint = createEndpoint(endpointId, state.options.view(endpointId));
    state.endpoints.set(endpointId, endpoint);
  }
  return endpoint;
}

/** Forgets an unregistered endpoint of which nothing is left. */
export function forgetIfIdle(state: EngineState, endpoint: Endpoint): void {
  if (endpoint.view !== undefined || endpoint.inFlight > 0 || endpoint.queued > 0) return;
  for (const { rowCount, claimed, cursor } of endpoint.lanes.values()) {
    if (rowCount > 0 || claimed !== undefined || cursor !== undefined) return;
  }
  state.endpoints.delete(endpoint.id);
  state.wakeTimes.forget(endpoint);
}

/** Finds an endpoint's deliveries of a lane, or begins to hold them. */
export function endpointLaneOf(
  state: EngineState,
  endpointId: string,
  window: LaneWindow,
): EndpointLane {
  const endpoint = endpointOf(state, endpointId);
  let endpointLane = endpoint.lanes.get(window.lane);
  if (endpointLane === undefined) {
    endpointLane = createEndpointLane(endpoint, window, 0);
    endpoint.lanes.set(window.lane, endpointLane);
    if (!isSound(endpoint)) endpointLane.mode = 'lagging';
  }
  return endpointLane;
}

/** Says whether memory holds all it may: then nothing is read or claimed. */
export function isFull({ held, heldBytes, options: { limits } }: EngineState): boolean {
  return held >= limits.maxHeld || heldBytes >= limits.maxHeldBytes;
}

/**
 * Says how many deliveries may still be queued. What waits for longer than a second is parked, which
 * costs far more than to read it later.
 */
export function roomToQueue({ queued, pace, options: { limits } }: EngineState): number {
  return Math.max(limits.minQueued, (pace.perSecond * limits.maxQueuedMs) / 1_000) - queued;
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

/** Queues the head of a pair, or a claimed row, to be sent in its turn. */
export function enqueue(state: EngineState, delivery: Delivery): void {
  const { endpoint } = delivery.endpointLane;
  delivery.state = 'queued';
  endpoint.queue.push(delivery);
  endpoint.queued += 1;
  state.queued += 1;
  enterTenant(state, endpoint);
  joinTurns(state, endpoint);
}

/** Counts a delivery that left the queue, whose room may be used for rows that are due. */
export function dequeue(state: EngineState, endpoint: Endpoint): void {
  endpoint.queued -= 1;
  state.queued -= 1;
  if (endpoint.dueLanes.size > 0) state.claimable.add(endpoint);
  // Nothing in the queue counts any more: it would keep its bodies in memory.
  if (endpoint.queued === 0) {
    endpoint.queue.clear();
    stopWaiting(state, endpoint);
  }
  leaveTenantIfIdle(state, endpoint);
}

/** Marks that something of the lane waits to be written. */
export function markUnwritten(window: LaneWindow, now: Now): void {
  if (window.unwrittenSinceMs === Infinity) window.unwrittenSinceMs = now.monotonicMs;
}

/** Ends a delivery: it leaves its pair, and what was behind it may go. */
export function settle(state: EngineState, delivery: Delivery): void {
  const { endpointLane, event, entry } = delivery;
  const isFollowing = entry === undefined && delivery.state === 'waiting';
  if (delivery.state === 'queued') dequeue(state, endpointLane.endpoint);
  if (isFollowing) unfollow(state, endpointLane.endpoint);
  const next = leavePair(endpointLane, delivery) ?? (isFollowing ? undefined : follower(delivery));
  delivery.state = 'settled';
  letGo(state, delivery);
  if (entry === undefined) {
    endpointLane.window.settledRows.push({
      position: event.position,
      endpointId: endpointLane.endpoint.id,
    });
  } else {
    noteSettled(endpointLane.window, entry, endpointLane.endpoint.id);
  }
  if (next === undefined) return;
  if (next.entry === undefined) unfollow(state, endpointLane.endpoint);
  enqueue(state, next);
}

/** Counts a claimed row that waits behind another no more; there may be room for others. */
function unfollow(state: EngineState, endpoint: Endpoint): void {
  endpoint.following -= 1;
  if (endpoint.dueLanes.size > 0) state.claimable.add(endpoint);
}

/** The claimed row that is next in the pair. */
function follower({ behind }: Delivery): Delivery | undefined {
  let next = behind;
  while (next !== undefined && next.state !== 'waiting') next = next.behind;
  return next;
}

/** Leaves what was claimed, and all that follows it, to its row. */
export function leaveToRow(state: EngineState, delivery: Delivery): void {
  const { endpointLane } = delivery;
  const { endpoint } = endpointLane;
  for (let each: Delivery | undefined = delivery; each !== undefined; each = each.behind) {
    if (each.state === 'queued') dequeue(state, endpoint);
    else if (each.state === 'waiting') unfollow(state, endpoint);
    else continue;
    each.state = 'parked';
    removeClaimed(endpointLane, each.event.position);
    letGo(state, each);
  }
}

/** Ends a delivery without an attempt, and says so in the delivery log. */
export function settleUnsent(
  state: EngineState,
  delivery: Delivery,
  end: { readonly settlement: Settlement; readonly reason: string; readonly now: Now },
): void {
  const { window, endpoint } = delivery.endpointLane;
  window.attempts.push({
    event: delivery.event,
    endpointId: endpoint.id,
    attempt: delivery.attempt,
    startedAtMs: end.now.wallMs,
    revision: delivery.revision,
    outcome: undefined,
    reason: end.reason,
    settlement: end.settlement,
  });
  state.unrecorded += 1;
  markUnwritten(window, end.now);
  settle(state, delivery);
}

/** Ends a delivery that no subscription of its endpoint matches any more. */
export function cancel(state: EngineState, delivery: Delivery, now: Now): void {
  const isGone = delivery.endpointLane.endpoint.view === undefined;
  const reason = isGone ? 'unregistered' : 'no subscription matches';
  settleUnsent(state, delivery, { settlement: 'cancelled', reason, now });
}

/** Lets an endpoint lag in a lane: what it had not sent becomes rows as progress passes. */
export function lag(state: EngineState, endpointLane: EndpointLane, now: Now): void {
  if (endpointLane.mode === 'lagging') return;
  for (const delivery of startLagging(endpointLane)) {
    if (delivery.state === 'queued') dequeue(state, endpointLane.endpoint);
    delivery.state = 'deferred';
    delivery.notBeforeMs = now.wallMs;
  }
  markUnwritten(endpointLane.window, now);
  if (endpointLane.rowCount > 0) state.dueTimes.note(endpointLane, now.wallMs);
}
