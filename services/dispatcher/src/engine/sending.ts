import { hush, learn } from './calling.ts';
import { afterSending } from './circuit.ts';
import type { AttemptOutcome, Delivery, Settlement } from './delivery.ts';
import type { Answer, LateAnswer, Now } from './effect.ts';
import { retryWaitMs } from './retry-schedule.ts';
import { nextToSend, noteBegin, noteEnd } from './scheduling.ts';
import { claimAgain, forgetIfIdle, letGo, markUnwritten, type EngineState } from './state.ts';
import { beginAttempt, cancel, leaveToRow, settle } from './transitions.ts';

/** Begins sends while there is room, those first whose turn it is. */
export function sendQueued(state: EngineState, now: Now): void {
  const { maxInFlight } = state.options.limits;
  if (now.monotonicMs >= state.leaseUntilMs) return;
  while (state.inFlight < maxInFlight) {
    const delivery = nextToSend(state, now);
    if (delivery === undefined) return;
    begin(state, delivery, now);
  }
}

function begin(state: EngineState, delivery: Delivery, now: Now): void {
  delivery.attempt += 1;
  delivery.isUnanswered = false;
  delivery.startedAtMs = now.wallMs;
  delivery.revision = state.options.revision();
  const { endpoint } = delivery.endpointLane;
  endpoint.circuit = afterSending(endpoint.circuit);
  noteBegin(state, delivery, now);
  beginAttempt(state, delivery);
  state.effects.push({ kind: 'send', delivery });
}

/** Takes in how an attempt ended. */
export function takeAnswer(state: EngineState, { delivery, outcome }: Answer, now: Now): void {
  const { endpoint, window } = delivery.endpointLane;
  learn(state, { endpoint, outcome }, now);
  noteEnd(state, delivery);
  claimAgain(state, endpoint);
  if (window.phase === 'lost') {
    letGo(state, delivery);
    state.effects.push({ kind: 'answered_late', answer: toLateAnswer(delivery, outcome) });
  } else {
    takeOutcome(state, { delivery, outcome }, now);
  }
  forgetIfIdle(state, endpoint);
}

function toLateAnswer(delivery: Delivery, outcome: AttemptOutcome): LateAnswer {
  const { event, endpointLane, attempt, startedAtMs, revision } = delivery;
  const { lane, position } = event;
  const endpointId = endpointLane.endpoint.id;
  return { lane, position, endpointId, attempt, startedAtMs, revision, outcome };
}

/** Settles a delivery, or keeps it for another attempt, as its receiver answered. */
export function takeOutcome(state: EngineState, answer: Answer, now: Now): void {
  const { delivery, outcome } = answer;
  if (outcome.kind === 'delivered') {
    record(state, { delivery, outcome, settlement: 'delivered', now });
    settle(state, delivery);
  } else {
    fail(state, answer, now);
  }
}

function fail(state: EngineState, { delivery, outcome }: Answer, now: Now): void {
  const { endpointLane } = delivery;
  const { view } = endpointLane.endpoint;
  const retryAtMs = nextAttemptMs(state, { delivery, outcome }, now);
  if (view === undefined || !state.options.matches(view, delivery.event)) {
    // Its row in the delivery log says why, apart from that of the attempt.
    record(state, { delivery, outcome, settlement: undefined, now });
    cancel(state, delivery, now);
    return;
  }
  const settlement = retryAtMs === undefined ? 'dead' : undefined;
  record(state, { delivery, outcome, settlement, now });
  if (retryAtMs === undefined) settle(state, delivery);
  else keepWaiting(state, delivery, retryAtMs);
  if (isGone(outcome)) suspend(state, delivery, now);
}

/** Keeps a failed delivery: as a row at once if it has one, else until progress passes it. */
function keepWaiting(state: EngineState, delivery: Delivery, notBeforeMs: number): void {
  const { endpointLane, event, attempt } = delivery;
  delivery.state = 'failed';
  delivery.notBeforeMs = notBeforeMs;
  if (delivery.entry !== undefined) return;
  letGo(state, delivery);
  // What follows it waits for the next attempt, too.
  if (delivery.behind !== undefined) leaveToRow(state, delivery.behind);
  delivery.behind = undefined;
  endpointLane.window.retriedRows.push({
    position: event.position,
    endpointId: endpointLane.endpoint.id,
    attempt,
    inFlight: false,
    notBeforeMs,
  });
}

/** Says when to try again, wall clock; undefined when the schedule has run out. */
function nextAttemptMs(
  state: EngineState,
  { delivery, outcome }: Answer,
  now: Now,
): number | undefined {
  if (isGone(outcome)) return now.wallMs;
  const { retryScheduleMs } = state.options;
  const waitMs = retryWaitMs(retryScheduleMs, delivery.attempt, state.options.random());
  if (waitMs === undefined) return undefined;
  const retryAfterMs = outcome.kind === 'rejected' ? (outcome.retryAfterMs ?? 0) : 0;
  return Math.max(now.wallMs + waitMs, retryAfterMs);
}

/** An answer 410 means that the endpoint is gone (README.md, "What a receiver's answer means"). */
function isGone(outcome: AttemptOutcome): boolean {
  return outcome.kind === 'rejected' && outcome.status === 410;
}

/** Calls an endpoint no more until the set of endpoints says how it stands. */
function suspend(state: EngineState, { endpointLane, revision }: Delivery, now: Now): void {
  const { endpoint } = endpointLane;
  if (endpoint.gone || endpoint.view === undefined) return;
  endpoint.gone = true;
  hush(state, endpoint, now);
  state.effects.push({
    kind: 'report_gone',
    endpointId: endpoint.id,
    tenant: endpoint.view.tenant,
    revision,
  });
}

interface Ending extends Answer {
  readonly settlement: Settlement | undefined;
  readonly now: Now;
}

function record(state: EngineState, { delivery, outcome, settlement, now }: Ending): void {
  const { window, endpoint } = delivery.endpointLane;
  window.attempts.push({
    event: delivery.event,
    endpointId: endpoint.id,
    attempt: delivery.attempt,
    startedAtMs: delivery.startedAtMs,
    revision: delivery.revision,
    outcome,
    reason: undefined,
    settlement,
  });
  state.unrecorded += 1;
  markUnwritten(window, now);
}
