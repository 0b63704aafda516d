import type { Delivery } from '../../delivery.ts';
import { claimLimit } from '../../claim-budget.ts';
import { isCallable, isSound, sendLimit, type Endpoint } from '../../endpoint.ts';
import { isLaneCrowded } from '../../cursors.ts';
import type { EndpointLane } from '../../endpoint-lane.ts';
import type { LaneWindow } from '../../lane-window.ts';
import { mayRefill } from '../../refilling.ts';
import { lanesOf } from '../../state.ts';
import type { EngineState } from '../../state.ts';
import type { SimulatedStore } from '../servers/store.ts';

/** What an engine is compared with after every step. */
export interface Compared {
  readonly store: SimulatedStore;
  /** Sends whose answers are still to come. */
  readonly sends: ReadonlySet<Delivery>;
}

/** What is counted of an endpoint, or of all of them. */
interface Counts {
  queued: number;
  /** Of these, those that have no row. */
  read: number;
  claimed: number;
  claimedBytes: number;
  inFlight: number;
}

/** Compares what the engine counts with what it holds. Throws at the first difference. */
export function checkState(state: EngineState, { store, sends }: Compared): void {
  const inMemory = new Set<Delivery>(sends);
  for (const window of state.windows.values()) {
    checkWindow(window);
    checkRefillable(state, window);
    for (const { deliveries } of window.entries) {
      for (const delivery of deliveries) if (delivery.state !== 'settled') inMemory.add(delivery);
    }
  }
  for (const window of state.windows.values()) {
    for (const { claimed } of window.endpointLanes.values()) {
      for (const delivery of claimed?.values() ?? [])
        if (isClaimed(delivery)) inMemory.add(delivery);
    }
  }
  const counts = new Map<Endpoint, Counts>();
  let bytes = 0;
  for (const delivery of inMemory) {
    bytes += delivery.event.body.length;
    count(counts, delivery);
  }
  same('held', state.held, inMemory.size);
  same('heldBytes', state.heldBytes, bytes);
  same('inFlight', state.inFlight, sends.size);
  same(
    'unrecorded',
    state.unrecorded,
    sum(state.windows.values(), (it) => it.attempts.length),
  );
  for (const endpoint of state.endpoints.values()) {
    checkEndpoint(state, endpoint, counts.get(endpoint));
  }
  same(
    'queued',
    state.queued,
    sum(counts.values(), ({ read }) => read),
  );
  checkSums(state);
  checkClaimedSums(state, counts);
  checkRowTotals(state);
  if (!state.recordingUnderWay) checkRows(state, store);
}

function isClaimed({ state, entry }: Delivery): boolean {
  return (
    state === 'queued' || state === 'waiting' || (state === 'in_flight' && entry === undefined)
  );
}

function checkWindow(window: LaneWindow): void {
  let before = window.progress;
  for (const { position, deliveries, open } of window.entries) {
    if (position <= before || position > window.readPosition) {
      throw new Error('Entries are disordered.');
    }
    before = position;
    const unsettled = deliveries.filter(({ state }) => state !== 'settled');
    same('open', open, unsettled.length);
    if (unsettled.some(({ state }) => state === 'parked')) throw new Error('Parked, yet held.');
  }
}

/** Whoever keeps a cursor and may be refilled is looked at when there is time, unless the lane has many rows. */
function checkRefillable(state: EngineState, window: LaneWindow): void {
  if (window.phase !== 'owned' || state.refillsUnderWay > 0 || state.recordingUnderWay) return;
  for (const endpointLane of window.endpointLanes.values()) {
    const { cursor, endpoint, rowCount } = endpointLane;
    if (cursor === undefined || window.movedCursors.has(endpointLane)) continue;
    if (rowCount > 0 && isLaneCrowded(state, window)) continue;
    const isLookedAt = window.refillable.has(endpointLane) && state.refillable.has(window);
    if (!isLookedAt && mayRefill(state, endpointLane)) {
      throw new Error(`${endpoint.id} has room in lane ${window.lane}, and is not refilled.`);
    }
  }
}

function count(counts: Map<Endpoint, Counts>, delivery: Delivery): void {
  const { event, state, entry, endpointLane } = delivery;
  const { endpoint } = endpointLane;
  const own = counts.get(endpoint) ?? {
    queued: 0,
    read: 0,
    claimed: 0,
    claimedBytes: 0,
    inFlight: 0,
  };
  counts.set(endpoint, own);
  if (state === 'queued') own.queued += 1;
  if (state === 'queued' && entry !== undefined) own.read += 1;
  if (state === 'in_flight') own.inFlight += 1;
  if (entry !== undefined || (state !== 'queued' && state !== 'waiting')) return;
  own.claimed += 1;
  own.claimedBytes += event.body.length;
}

function checkEndpoint(state: EngineState, endpoint: Endpoint, counts: Counts | undefined): void {
  same(`queued of ${endpoint.id}`, endpoint.queued, counts?.queued ?? 0);
  same(`claimed of ${endpoint.id}`, endpoint.claimed, counts?.claimed ?? 0);
  same(`inFlight of ${endpoint.id}`, endpoint.inFlight, counts?.inFlight ?? 0);
  checkTurns(state, endpoint);
  checkClaims(state, endpoint);
  checkHushed(state, endpoint);
}

/** Whoever is not called lags, and nothing is queued for it. */
function checkHushed(state: EngineState, endpoint: Endpoint): void {
  const { id, queued, view } = endpoint;
  // What is unregistered is cancelled.
  if (isCallable(endpoint) || view === undefined) return;
  if (queued > 0) throw new Error(`${id} is not called, and ${queued} are queued.`);
  for (const { mode, window } of lanesOf(state, endpoint)) {
    if (mode === 'direct')
      throw new Error(`${id} is not called, and known in lane ${window.lane}.`);
  }
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
    endpoint.waitsAt?.waiting.has(endpoint) === true;
  if (!isKnown && !waits) throw new Error(`${id} could send, and nobody knows.`);
}

function checkClaims(state: EngineState, endpoint: Endpoint): void {
  const { circuit, queued, claimed, inFlight, dueLanes, id } = endpoint;
  if (circuit.state === 'open' && !state.wakeTimes.has(endpoint)) {
    throw new Error(`${id} is never probed.`);
  }
  if (!isCallable(endpoint)) return;
  const most = claimLimit(endpoint, state.options.limits);
  const hasDue = [...(dueLanes ?? [])].some(({ window }) => window.phase === 'owned');
  const hasRoom = circuit.state === 'half_open' ? queued + inFlight === 0 : claimed <= most / 2;
  // What a claim under way brings makes its endpoint claimable again.
  if (hasDue && hasRoom && !state.claimUnderWay && !state.claimable.has(endpoint)) {
    throw new Error(`${id} has due rows, and nobody claims them.`);
  }
}

/** What is under way is counted at each level. */
function checkSums(state: EngineState): void {
  for (const { name, inFlight, waiting } of state.origins.values()) {
    if (inFlight === 0 && waiting.size === 0) throw new Error(`${name} is left.`);
    for (const { id, queued } of waiting) {
      if (queued === 0) throw new Error(`${id} waits at ${name} for nothing.`);
    }
  }
  same(
    'inFlight of tenants',
    sum(state.tenants.values(), (it) => it.inFlight),
    state.inFlight,
  );
  same(
    'endpoints of tenants',
    sum(state.tenants.values(), ({ endpoints }) => endpoints),
    sum(state.endpoints.values(), ({ tenant }) => (tenant === undefined ? 0 : 1)),
  );
  same(
    'fast endpoints of tenants',
    sum(state.tenants.values(), (it) => it.fastEndpoints),
    sum(state.endpoints.values(), ({ speed, tenant }) =>
      speed === 'fast' && tenant !== undefined ? 1 : 0,
    ),
  );
  same(
    'inFlight of fast endpoints',
    sum(state.tenants.values(), (it) => it.fastInFlight),
    sum(state.endpoints.values(), (it) => (it.speed === 'fast' ? it.inFlight : 0)),
  );
  same(
    'inFlight at origins',
    sum(state.origins.values(), (it) => it.inFlight),
    state.inFlight,
  );
}

/** What is claimed is counted at each level. */
function checkClaimedSums(state: EngineState, counts: ReadonlyMap<Endpoint, Counts>): void {
  const claimed = sum(counts.values(), (it) => it.claimed);
  const claimedBytes = sum(counts.values(), (it) => it.claimedBytes);
  const tenants = [...state.tenants.values()];
  same('claimed', state.claimed, claimed);
  same('claimedBytes', state.claimedBytes, claimedBytes);
  same(
    'claimed of tenants',
    sum(tenants, (it) => it.claimed),
    claimed,
  );
  same(
    'claimedBytes of tenants',
    sum(tenants, (it) => it.claimedBytes),
    claimedBytes,
  );
}

/** The rows of a lane, and the pairs that they block, are those of all endpoints. */
function checkRowTotals(state: EngineState): void {
  for (const { lane, endpointLanes, rowTotal, blockedPairs } of state.windows.values()) {
    const known = [...endpointLanes.values()];
    const rows = sum(known, ({ rowCount }) => rowCount);
    const blocked = sum(known, (endpointLane) => endpointLane.blockedPairs);
    same(`rows of lane ${lane}`, rowTotal, rows);
    same(`blocked pairs of lane ${lane}`, blockedPairs, blocked);
  }
}

/** Between two recordings the engine knows how many rows there are, and of which pairs. */
function checkRows(state: EngineState, store: SimulatedStore): void {
  for (const { lane, epoch, endpointLanes } of state.windows.values()) {
    const stored = store.lane(lane);
    if (stored.epoch !== epoch) continue;
    for (const endpoint of state.endpoints.values()) {
      if (endpoint.view === undefined) continue;
      const rows = stored.parked.of(endpoint.id);
      const endpointLane = endpointLanes.get(endpoint);
      same(`rows of ${endpoint.id}`, endpointLane?.rowCount ?? 0, rows.length);
      if (endpointLane !== undefined) checkEndpointLane(endpointLane, rows);
    }
  }
}

function checkEndpointLane(endpointLane: EndpointLane, rows: Rows): void {
  const { endpoint, mode, cursor, pairs, isKept } = endpointLane;
  if (pairs === undefined && !isKept) throw new Error(`Nothing of ${endpoint.id} is held.`);
  if (mode !== 'direct') return;
  checkPairs(endpointLane, rows);
  if (cursor !== undefined) throw new Error(`${endpoint.id} keeps a cursor for nothing.`);
}

type Rows = ReturnType<SimulatedStore['rowsOf']>;

function checkPairs(
  { endpoint, window, pairs, claimed, blockedPairs }: EndpointLane,
  rows: Rows,
): void {
  const blocking = rows.filter(
    ({ ordered, event }) => ordered && claimed?.get(event.position)?.state !== 'settled',
  );
  const deferred = sum(window.entries, ({ deliveries }) => {
    const own = deliveries.filter(({ endpointLane }) => endpointLane.endpoint === endpoint);
    return own.filter((delivery) => delivery.state === 'deferred').length;
  });
  const known = sum(pairs?.values() ?? [], (pair) => pair.rows);
  same(`rows in pairs of ${endpoint.id}`, known, blocking.length + deferred);
  const blocked = sum(pairs?.values() ?? [], (pair) => (pair.rows > 0 ? 1 : 0));
  same(`blocked pairs of ${endpoint.id}`, blockedPairs, blocked);
}

/** Says what is left of what is over; undefined when nothing is. */
export function findLeft(state: EngineState): string | undefined {
  const { inFlight, held, heldBytes, unrecorded } = state;
  if (inFlight + held + heldBytes + unrecorded > 0) return 'Something is held.';
  if (state.dueTimes.earliestMs() !== Infinity) return 'Something is due.';
  for (const endpoint of state.endpoints.values()) {
    const { id } = endpoint;
    if (endpoint.view === undefined) return `${id} was not forgotten.`;
    if (endpoint.queue.length > 0) return `Something of ${id} is queued.`;
    for (const { pairs, claimed, window, mode } of lanesOf(state, endpoint)) {
      if (mode === 'lagging' && isSound(endpoint)) return `${id} lags in lane ${window.lane}.`;
      if (pairs !== undefined) return `Pairs of ${id} are left.`;
      if (claimed !== undefined) return `Rows of ${id} are claimed.`;
      if (window.entries.length > 0) return `Events of lane ${window.lane} are left.`;
    }
  }
  if (state.tenants.size > 0) return 'Tenants are left.';
  if (state.origins.size > 0) return 'Origins are left.';
  return undefined;
}

function same(what: string, is: number, ought: number): void {
  if (is !== ought) throw new Error(`${what}: ${is}, but ought to be ${ought}`);
}

function sum<Item>(items: Iterable<Item>, valueOf: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += valueOf(item);
  return total;
}
