import { hush, wake } from './calling.ts';
import { afterChange, afterWait, createCircuit } from './circuit.ts';
import { createConcurrencyLimit } from './concurrency-limit.ts';
import type { Delivery } from './delivery.ts';
import { moveCursor } from './cursors.ts';
import type { Now } from './effect.ts';
import { circuitRules, isActive, type Endpoint } from './endpoint.ts';
import type { LaneWindow } from './lane-window.ts';
import { forgetDurations } from './speed.ts';
import { forgetIfIdle, lanesOf, markUnwritten, type EngineState } from './state.ts';
import { cancel } from './transitions.ts';

/**
 * Takes in that endpoints were registered, changed or unregistered. Deliveries that no subscription
 * matches any more are cancelled; a paused or disabled endpoint lags; an active one may be called.
 */
export function takeChanges(state: EngineState, endpointIds: readonly string[], now: Now): void {
  const changed = new Set<Endpoint>();
  for (const endpointId of endpointIds) {
    const endpoint = state.endpoints.get(endpointId);
    if (endpoint === undefined) continue;
    const before = endpoint.view;
    const wasActive = isActive(endpoint);
    endpoint.gone = false;
    endpoint.view = state.options.view(endpointId);
    if (before?.url !== endpoint.view?.url) beginAfresh(state, endpoint, now);
    else if (!wasActive) probeAtOnce(endpoint);
    else probeInTime(state, endpoint, now);
    changed.add(endpoint);
  }
  if (changed.size === 0) return;
  for (const window of state.windows.values()) cancelUnmatched(state, { window, changed }, now);
  for (const endpoint of changed) {
    if (endpoint.view === undefined) cancelRows(state, endpoint, now);
    else if (isActive(endpoint)) wake(state, endpoint, now);
    else hush(state, endpoint, now);
  }
}

/** Nothing is known of the address that the endpoint has now. */
function beginAfresh(state: EngineState, endpoint: Endpoint, now: Now): void {
  endpoint.circuit = createCircuit();
  endpoint.concurrency = createConcurrencyLimit(state.options.limits.maxInFlightPerEndpoint);
  forgetDurations(endpoint);
  endpoint.addressedAtMs = now.monotonicMs;
}

/** Whoever resumes or enables an endpoint thinks that it works: it is not to wait for the time of a probe. */
function probeAtOnce(endpoint: Endpoint): void {
  if (isActive(endpoint)) endpoint.circuit = afterWait(endpoint.circuit, Infinity);
}

/** An open circuit is probed as soon as the endpoint's settings say now. */
function probeInTime(state: EngineState, endpoint: Endpoint, now: Now): void {
  const rules = circuitRules(endpoint, state.options.limits.circuit);
  endpoint.circuit = afterChange(endpoint.circuit, now.monotonicMs, rules);
  if (endpoint.circuit.state !== 'open') return;
  state.wakeTimes.note(endpoint, endpoint.circuit.probeAtMs);
}

interface Changed {
  readonly window: LaneWindow;
  readonly changed: ReadonlySet<Endpoint>;
}

function cancelUnmatched(state: EngineState, { window, changed }: Changed, now: Now): void {
  for (const { deliveries } of window.entries) {
    for (const delivery of deliveries) {
      if (changed.has(delivery.endpointLane.endpoint)) cancelIfUnmatched(state, delivery, now);
    }
  }
  for (const endpoint of changed) {
    for (const delivery of window.endpointLanes.get(endpoint)?.claimed?.values() ?? []) {
      if (isClaimedUnsent(delivery)) cancelIfUnmatched(state, delivery, now);
    }
  }
}

function isClaimedUnsent({ state }: Delivery): boolean {
  return state === 'queued' || state === 'waiting';
}

function cancelIfUnmatched(state: EngineState, delivery: Delivery, now: Now): void {
  if (delivery.state === 'settled' || delivery.state === 'in_flight') return;
  const { view } = delivery.endpointLane.endpoint;
  if (view !== undefined && state.options.matches(view, delivery.event)) return;
  cancel(state, delivery, now);
}

function cancelRows(state: EngineState, endpoint: Endpoint, now: Now): void {
  for (const endpointLane of lanesOf(state, endpoint)) {
    const { window, rowCount, cursor } = endpointLane;
    if (window.phase !== 'owned') continue;
    if (rowCount > 0) window.cancelEndpoints.add(endpoint.id);
    if (cursor !== undefined) moveCursor(endpointLane, undefined);
    if (rowCount > 0 || cursor !== undefined) markUnwritten(window, now);
  }
  forgetIfIdle(state, endpoint);
}
