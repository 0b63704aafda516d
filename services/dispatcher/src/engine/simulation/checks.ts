import type { Delivery, LogEvent } from '../delivery.ts';
import { isCallable, sendLimit, type Endpoint } from '../endpoint.ts';
import type { EventMark, LaneWindow } from '../lane-window.ts';
import type { EngineState } from '../state.ts';
import { deliveryKey, type SimulatedStore } from './store.ts';

/** What one more event, and the rows of one claim, may add to what is full. */
const OVERSHOOT = 40;

/** What an engine is compared with after every step. */
export interface Surroundings {
  readonly store: SimulatedStore;
  /** Sends whose answers are still to come. */
  readonly sends: ReadonlySet<Delivery>;
}

/** Compares what the engine counts with what it holds. Throws at the first difference. */
export function checkState(state: EngineState, { store, sends }: Surroundings): void {
  const inMemory = new Set<Delivery>(sends);
  for (const window of state.windows.values()) {
    checkWindow(window);
    for (const { deliveries } of window.entries) {
      for (const delivery of deliveries) if (delivery.state !== 'settled') inMemory.add(delivery);
    }
  }
  for (const endpoint of state.endpoints.values()) {
    for (const { claimed } of endpoint.lanes.values()) {
      for (const delivery of claimed.values()) if (isClaimed(delivery)) inMemory.add(delivery);
    }
  }
  const bodies = [...inMemory].map(({ event }) => event.body.length);
  const attempts = [...state.windows.values()].map((window) => window.attempts.length);
  same('held', state.held, inMemory.size);
  if (state.held > state.options.limits.maxHeld + OVERSHOOT) throw new Error('Too much is held.');
  same('heldBytes', state.heldBytes, sum(bodies));
  same('inFlight', state.inFlight, sends.size);
  same('unrecorded', state.unrecorded, sum(attempts));
  for (const endpoint of state.endpoints.values()) checkEndpoint(state, endpoint, inMemory);
  same('queued', state.queued, sum([...state.endpoints.values()].map(({ queued }) => queued)));
  checkSums(state);
  if (!state.recordingUnderWay) checkRows(state, store);
}

function isClaimed({ state, entry }: Delivery): boolean {
  return (
    state === 'queued' || state === 'waiting' || (state === 'in_flight' && entry === undefined)
  );
}

function checkWindow(window: LaneWindow): void {
  let before = -1;
  for (const { position, deliveries, open } of window.entries) {
    if (position <= before || position > window.readPosition)
      throw new Error('Entries disordered.');
    before = position;
    const unsettled = deliveries.filter(({ state }) => state !== 'settled');
    same('open', open, unsettled.length);
    if (unsettled.some(({ state }) => state === 'parked')) throw new Error('Parked, yet held.');
  }
}

function checkEndpoint(
  state: EngineState,
  endpoint: Endpoint,
  inMemory: ReadonlySet<Delivery>,
): void {
  const own = [...inMemory].filter(({ endpointLane }) => endpointLane.endpoint === endpoint);
  const queued = own.filter((delivery) => delivery.state === 'queued');
  const inFlight = own.filter((delivery) => delivery.state === 'in_flight');
  same(`queued of ${endpoint.id}`, endpoint.queued, queued.length);
  const following = own.filter(({ state: at, entry }) => at === 'waiting' && entry === undefined);
  same(`following of ${endpoint.id}`, endpoint.following, following.length);
  same(`inFlight of ${endpoint.id}`, endpoint.inFlight, inFlight.length);
  checkTurns(state, endpoint);
  checkClaims(state, endpoint);
}

/** Whoever could send stands in the ring, or somebody knows when it may. */
function checkTurns(state: EngineState, endpoint: Endpoint): void {
  const { id, queued, inFlight, inRing, tenant } = endpoint;
  if (queued + inFlight > 0 !== (tenant !== undefined)) throw new Error(`${id} is not counted.`);
  if (!isCallable(endpoint) || queued === 0 || inFlight >= sendLimit(endpoint)) return;
  const isTenantKnown = tenant !== undefined && (tenant.inRing || state.crowded.has(tenant));
  const isKnown = inRing && isTenantKnown;
  const waits =
    state.overShare.has(endpoint) ||
    state.wakeTimes.has(endpoint) ||
    [...state.origins.values()].some(({ waiting }) => waiting.has(endpoint));
  if (!isKnown && !waits) throw new Error(`${id} could send, and nobody knows.`);
}

function checkClaims(state: EngineState, endpoint: Endpoint): void {
  const { circuit, queued, following, inFlight, dueLanes, id } = endpoint;
  if (circuit.state === 'open' && !state.wakeTimes.has(endpoint)) {
    throw new Error(`${id} is never probed.`);
  }
  if (!isCallable(endpoint)) return;
  const { maxClaimedPerEndpoint } = state.options.limits;
  const hasDue = [...dueLanes].some(({ window }) => window.phase === 'owned');
  const hasRoom =
    circuit.state === 'half_open'
      ? queued + inFlight === 0
      : maxClaimedPerEndpoint - queued - following >= maxClaimedPerEndpoint / 2;
  // What a claim under way brings makes its endpoint claimable again.
  if (hasDue && hasRoom && !state.claimUnderWay && !state.claimable.has(endpoint)) {
    throw new Error(`${id} has due rows, and nobody claims them.`);
  }
}

/** What is under way is counted at each level. */
function checkSums(state: EngineState): void {
  const endpoints = [...state.endpoints.values()];
  const tenants = [...state.tenants.values()];
  same('inFlight of tenants', sum(tenants.map(({ inFlight }) => inFlight)), state.inFlight);
  same(
    'endpoints of tenants',
    sum(tenants.map((tenant) => tenant.endpoints)),
    endpoints.filter(({ tenant }) => tenant !== undefined).length,
  );
  const origins = [...state.origins.values()];
  same('inFlight at origins', sum(origins.map(({ inFlight }) => inFlight)), state.inFlight);
}

/** Between two recordings the engine knows how many rows there are, and of which pairs. */
function checkRows(state: EngineState, store: SimulatedStore): void {
  for (const endpoint of state.endpoints.values()) {
    for (const { window, rowCount, mode, pairs, claimed } of endpoint.lanes.values()) {
      if (store.lane(window.lane).epoch !== window.epoch || endpoint.view === undefined) continue;
      const rows = store.rowsOf(window.lane, endpoint.id);
      same(`rows of ${endpoint.id}`, rowCount, rows.length);
      if (mode !== 'direct') continue;
      const blocking = rows.filter(
        ({ ordered, event }) => ordered && claimed.get(event.position)?.state !== 'settled',
      );
      const deferred = window.entries
        .flatMap(({ deliveries }) => deliveries)
        .filter((delivery) => delivery.endpointLane.endpoint === endpoint)
        .filter((delivery) => delivery.state === 'deferred');
      const known = [...pairs.values()].map((pair) => pair.rows);
      same(`rows in pairs of ${endpoint.id}`, sum(known), blocking.length + deferred.length);
    }
  }
}

/** Checks that progress passed only what is settled or has a row. */
export function checkPassed(
  store: SimulatedStore,
  events: readonly LogEvent[],
  endpointIds: readonly string[],
): void {
  for (const { lane, position, id } of events) {
    for (const endpointId of endpointIds) {
      if (store.settled.has(deliveryKey(endpointId, lane, position))) continue;
      const cursor = store.lane(lane).cursors.get(endpointId);
      if (cursor !== undefined && cursor.position < position) continue;
      const rows = store.rowsOf(lane, endpointId);
      if (!rows.some(({ event }) => event.position === position)) {
        throw new Error(`Progress passed ${id}, which ${endpointId} has not got.`);
      }
    }
  }
}

/** Checks that it is known which event stands at a position. */
export function checkMark(
  events: readonly LogEvent[],
  position: number,
  mark: EventMark | undefined,
): void {
  const event = events[position - 1];
  if (mark?.id !== event?.id || mark?.offset !== event?.offset) {
    throw new Error(`At ${position} stands ${event?.id}, not ${mark?.id}.`);
  }
}

/** Checks that nothing is left of what is over. */
export function checkIdle(state: EngineState): void {
  same('due times', state.dueTimes.earliestMs(), Infinity);
  for (const endpoint of state.endpoints.values()) {
    if (endpoint.view === undefined) throw new Error(`${endpoint.id} was not forgotten.`);
    same(`queue of ${endpoint.id}`, endpoint.queue.length, 0);
    for (const { pairs, claimed } of endpoint.lanes.values()) {
      same(`pairs of ${endpoint.id}`, pairs.size, 0);
      same(`claimed of ${endpoint.id}`, claimed.size, 0);
    }
  }
}

function same(what: string, is: number, ought: number): void {
  if (is !== ought) throw new Error(`${what}: ${is}, but ought to be ${ought}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
