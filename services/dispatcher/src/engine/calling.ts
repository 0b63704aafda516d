import { afterFailure, afterWait, afterWorking } from './circuit.ts';
import { unclaim } from './claiming.ts';
import { adaptLimit } from './concurrency-limit.ts';
import { refillSoon } from './cursors.ts';
import { isNotSent, type AttemptOutcome } from './delivery.ts';
import type { Now } from './effect.ts';
import { circuitRules, isSound, type Endpoint } from './endpoint.ts';
import { hasUnwritten } from './lane-window.ts';
import { joinTurns } from './scheduling.ts';
import { noteDuration } from './speed.ts';
import { claimAgain, lanesOf, markUnwritten, type EngineState } from './state.ts';
import { lag } from './transitions.ts';

/** Calls an endpoint no more until `wake`: it lags, and what was claimed for it is left to its rows. */
export function hush(state: EngineState, endpoint: Endpoint, now: Now): void {
  for (const endpointLane of lanesOf(state, endpoint)) {
    lag(state, endpointLane, now);
    unclaim(state, endpointLane, now);
  }
}

/** Lets an endpoint be called again, and its rows be known again where they are few. */
export function wake(state: EngineState, endpoint: Endpoint, now: Now): void {
  for (const endpointLane of lanesOf(state, endpoint)) {
    if (endpointLane.mode !== 'lagging' || endpointLane.window.phase !== 'owned') continue;
    if (endpointLane.cursor !== undefined) refillSoon(state, endpointLane);
    else if (isSound(endpoint)) endpointLane.window.catchingUp.add(endpointLane);
    if (endpointLane.rowCount > 0) state.dueTimes.note(endpointLane, now.wallMs);
    if (hasUnwritten(endpointLane.window)) markUnwritten(endpointLane.window, now);
  }
  claimAgain(state, endpoint);
  joinTurns(state, endpoint);
}

/** Lets those be called again whose time has come: by their rate, or to probe their circuit. */
export function wakeDue(state: EngineState, now: Now): void {
  for (const endpoint of state.wakeTimes.takeDue(now.monotonicMs)) {
    const wasOpen = endpoint.circuit.state === 'open';
    endpoint.circuit = afterWait(endpoint.circuit, now.monotonicMs);
    if (endpoint.circuit.state === 'open') {
      state.wakeTimes.note(endpoint, endpoint.circuit.probeAtMs);
    } else if (wasOpen) {
      wake(state, endpoint, now);
    } else {
      joinTurns(state, endpoint);
    }
  }
}

/** Learns from an answer how an endpoint does. Called before the send is counted as over. */
export function learn(
  state: EngineState,
  { endpoint, outcome }: { readonly endpoint: Endpoint; readonly outcome: AttemptOutcome },
  now: Now,
): void {
  const { limits } = state.options;
  if (now.monotonicMs - outcome.durationMs < endpoint.addressedAtMs) return;
  if (isNotSent(outcome)) return;
  const sample = {
    isOverload: isOverload(outcome),
    isGood: outcome.kind === 'delivered',
    durationMs: outcome.durationMs,
    inFlight: endpoint.inFlight,
    nowMs: now.monotonicMs,
  };
  noteDuration(endpoint, outcome.durationMs);
  adaptLimit(endpoint.concurrency, sample, limits.maxInFlightPerEndpoint);
  const before = endpoint.circuit;
  const failure = describeFailure(outcome);
  if (failure === undefined) endpoint.circuit = afterWorking();
  else {
    const at = { reason: failure, now, random: state.options.random() };
    endpoint.circuit = afterFailure(before, at, circuitRules(endpoint, limits.circuit));
  }
  if (endpoint.circuit.state === before.state) return;
  if (endpoint.circuit.state === 'open') {
    state.wakeTimes.note(endpoint, endpoint.circuit.probeAtMs);
    hush(state, endpoint, now);
  } else {
    wake(state, endpoint, now);
  }
}

/** The receiver says that it has too much to do, or does not answer in time. */
function isOverload(outcome: AttemptOutcome): boolean {
  switch (outcome.kind) {
    case 'unreachable':
      return outcome.timedOut === true;
    case 'rejected':
      return outcome.status === 429 || outcome.status === 503;
    case 'delivered':
    case 'refused':
      return false;
  }
}

/**
 * Says in words what is wrong with the receiver; undefined when it works. A status of 4xx judges the
 * delivery, not the receiver, except for a time-out and for too many requests.
 */
function describeFailure(outcome: AttemptOutcome): string | undefined {
  switch (outcome.kind) {
    case 'delivered':
      return undefined;
    case 'rejected': {
      const { status } = outcome;
      const isJudgement = status >= 400 && status < 500 && status !== 408 && status !== 429;
      return isJudgement ? undefined : `answered ${status}`;
    }
    case 'unreachable':
    case 'refused':
      return outcome.detail;
  }
}
