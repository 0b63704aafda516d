import type { Effect } from '../../effect.ts';
import type { EngineLimits } from '../../limits.ts';
import type { LaneRecorded } from '../../recording.ts';
import type { EngineState } from '../../state.ts';
import type { StoredLane } from '../servers/store.ts';

/** What one more event may add to what is full: a delivery to each endpoint. */
function ofOneEvent({ endpoints }: EngineState): number {
  return endpoints.size;
}

/** What a claim may add to what was not yet full. */
function ofOneClaim({ options: { limits } }: EngineState): number {
  return limits.maxClaims * limits.maxClaimedPerEndpoint;
}

/** What a refill may add: its rows, and those of one event. */
function ofOneRefill(state: EngineState): number {
  return state.options.limits.maxRefillRows + ofOneEvent(state);
}

/** The largest body in a simulation. */
export const MAX_BODY_BYTES = 3_000;

/** Checks that nothing that the engine holds grows beyond its limit, and what may be added to that. */
export function checkBounds(state: EngineState): void {
  const { limits } = state.options;
  const extra = ofOneEvent(state) + ofOneClaim(state) + ofOneRefill(state);
  const claims = limits.maxClaimed + ofOneClaim(state);
  const claimedBytes = limits.maxClaimedBytes + ofOneClaim(state) * MAX_BODY_BYTES;
  within('claimed', state.claimed, claims);
  within('claimedBytes', state.claimedBytes, claimedBytes);
  within('held', state.held, limits.maxHeld + claims + extra);
  within('heldBytes', state.heldBytes, limits.maxHeldBytes + claimedBytes + extra * MAX_BODY_BYTES);
  within('inFlight', state.inFlight, limits.maxInFlight);
  // All that is held may be cancelled at once, and what waited for too long ends unsent.
  within('unrecorded', state.unrecorded, limits.maxUnrecorded + limits.maxHeld + claims + extra);
  for (const origin of state.origins.values()) {
    within(`inFlight at ${origin.name}`, origin.inFlight, limits.maxInFlightPerOrigin);
  }
  for (const window of state.windows.values()) {
    const { lane, entries, settledAhead, refilledRows } = window;
    // What is read while it has room, and what a refill takes in above progress.
    const most = limits.maxWindowEvents + ofOneRefill(state);
    within(`entries of lane ${lane}`, entries.length, most);
    within(`known results of lane ${lane}`, settledAhead.size, 2 * most);
    within(`refilled rows of lane ${lane}`, refilledRows.length, 2 * ofOneRefill(state));
  }
  // Those that are about to be written were read before, and bounded by what is held.
  within('blocked pairs', blockedBefore(state), limits.maxBlockedPairsInAll);
  for (const { id, queued, claimed, queue, concurrency } of state.endpoints.values()) {
    within(`limit of ${id}`, concurrency.current, limits.maxInFlightPerEndpoint);
    // Lanes are claimed by how many rows were known, and there may be more by then.
    within(`claimed of ${id}`, claimed, limits.maxClaimedPerEndpoint + ofOneClaim(state));
    // Those that are not queued any more leave when their turn comes, or the last one goes.
    within(`queue of ${id}`, queue.length, queued + limits.maxHeld + claims + extra);
  }
}

/** Pairs that are blocked by rows, not only by what an endpoint that lagged a moment ago left unsent. */
function blockedBefore({ windows }: EngineState): number {
  let blocked = 0;
  for (const { blockedPairs, entries } of windows.values()) {
    blocked += blockedPairs;
    for (const { deliveries } of entries) {
      for (const { state, endpointLane } of deliveries) {
        if (state === 'deferred' && endpointLane.mode === 'direct') blocked -= 1;
      }
    }
  }
  return blocked;
}

function within(what: string, is: number, most: number): void {
  if (is > most) throw new Error(`${what}: ${is}, but ought to be ${most} at most`);
}

/** Checks that no more is asked for at a time than may be. */
export function checkEffect(effect: Effect, { windows, options: { limits } }: EngineState): void {
  switch (effect.kind) {
    case 'send': {
      const { id, circuit, inFlight } = effect.delivery.endpointLane.endpoint;
      if (circuit.state === 'half_open' && inFlight > 1)
        throw new Error(`${id} is not probed with one.`);
      return;
    }
    case 'claim':
      // The last endpoint may have rows in several lanes.
      within('claims', effect.claims.length, limits.maxClaims + windows.size);
      for (const { limit, endpointLane } of effect.claims) {
        const isProbe = endpointLane.endpoint.circuit.state === 'half_open';
        within('rows of a claim', limit, isProbe ? 1 : limits.maxClaimedPerEndpoint);
      }
      return;
    case 'refill':
      within('refills', effect.refills.length, limits.maxRefills);
      for (const { endpointIds } of effect.refills) {
        within('endpoints of a refill', endpointIds.size, limits.maxRefillEndpoints);
      }
      return;
    case 'record':
      for (const { listEndpoints } of effect.recording.lanes) {
        within('listed endpoints', listEndpoints.length, limits.maxListed);
      }
      return;
    case 'find':
    case 'answered_late':
    case 'lost':
    case 'release':
    case 'report_gone':
  }
}

/** Checks that the rows of a lane do not grow beyond their limits. */
export function checkRowBounds({ parked }: StoredLane, limits: EngineLimits): void {
  // What was read before the rows were so many becomes rows, too: in the window, and drafted.
  const extra = 2 * limits.maxWindowEvents + limits.maxRefillRows;
  // What somebody asked for by hand becomes a row in any case.
  const usual = parked.all().filter(({ ordered }) => ordered);
  const byEndpoint = Map.groupBy(usual, ({ endpointId }) => endpointId);
  for (const [endpointId, rows] of byEndpoint) {
    // It may have as many as are known without it lagging, whatever else it may have.
    const { maxRowsPerEndpointLane, maxRestingRowsPerEndpointLane, maxBlockedPairs } = limits;
    const most = Math.max(maxRowsPerEndpointLane, maxRestingRowsPerEndpointLane, maxBlockedPairs);
    within(`rows of ${endpointId}`, rows.length, most + extra);
  }
  // Of each endpoint so many pairs may be known without it lagging, each with as many rows as its invoice has
  // events: an endpoint that works has these, however many rows others have.
  const pairs = new Set(usual.map(({ endpointId, event }) => `${endpointId} ${event.invoiceId}`));
  const known = byEndpoint.size * (limits.maxBlockedPairs + extra);
  within('pairs with rows of the lane', pairs.size, limits.maxRowsPerLane + known);
}

/** Checks that only few rows are listed, so that memory holds few pairs. */
export function checkListed(result: LaneRecorded, { maxBlockedPairs }: EngineLimits): void {
  if (result.kind === 'refused') return;
  for (const { rows, endpointId } of result.listed) {
    const usual = rows.filter(({ ordered }) => ordered);
    within(`listed rows of ${endpointId}`, usual.length, maxBlockedPairs);
  }
}
