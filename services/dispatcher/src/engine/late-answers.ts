import type { Delivery } from './delivery.ts';
import { addClaimed } from './endpoint-lane.ts';
import type { FoundRow, Now, RowSearch, StoredAnswer } from './effect.ts';
import { isExpiring } from './expiring.ts';
import { entryAt, type LaneEntry, type LaneWindow } from './lane-window.ts';
import { takeOutcome } from './sending.ts';
import {
  endpointLaneOf,
  findEndpointLane,
  forgetIfIdle,
  hold,
  markUnwritten,
  type EngineState,
} from './state.ts';
import { beginAttempt } from './transitions.ts';

/**
 * Takes in what a former owner of the lane was answered after it gave the lane up. It counts if it
 * answers the last attempt of the delivery, and nobody is making another one; else it is dropped.
 * Which of both is noted in the transaction that records what came of it, so that it counts once.
 */
export function takeLateAnswer(state: EngineState, answer: StoredAnswer, now: Now): void {
  const window = state.windows.get(answer.lane);
  // The next owner sees to it.
  if (window?.phase !== 'owned') return;
  const delivery = inMemory(state, window, answer);
  if (delivery !== undefined) {
    takeFor(state, { window, delivery, answer }, now);
  } else if (answer.position > window.readPosition) {
    const ahead = window.answersAhead.get(answer.position) ?? [];
    window.answersAhead.set(answer.position, [...ahead, answer]);
  } else if (entryAt(window, answer.position) !== undefined) {
    done(window, answer, now);
  } else {
    state.searches.push({ window, answer });
  }
}

/** Takes the late answers to an event in, now that it is read, and before it is sent. */
export function takeAnswersAhead(
  state: EngineState,
  { window, entry }: { readonly window: LaneWindow; readonly entry: LaneEntry },
  now: Now,
): void {
  for (const answer of window.answersAhead.get(entry.position) ?? []) {
    const delivery = entry.deliveries.find(
      ({ endpointLane }) => endpointLane.endpoint.id === answer.endpointId,
    );
    if (delivery === undefined) done(window, answer, now);
    else takeFor(state, { window, delivery, answer }, now);
  }
  window.answersAhead.delete(entry.position);
}

/**
 * Asks for rows that late answers are for. One search or claim is under way at a time: what is looked
 * for is not taken up by another one meanwhile.
 */
export function searchRows(state: EngineState, now: Now): void {
  if (state.claimUnderWay || state.searches.length === 0 || isExpiring(state)) return;
  const waiting = state.searches.splice(0, state.options.limits.maxClaimedRows);
  const searches = waiting.filter((search) => isWanted(state, search, now));
  if (searches.length === 0) return;
  state.claimUnderWay = true;
  state.effects.push({ kind: 'find', searches });
}

/** It may have been taken up since it was noted. */
function isWanted(state: EngineState, { window, answer }: RowSearch, now: Now): boolean {
  if (window.phase !== 'owned') return false;
  const delivery = inMemory(state, window, answer);
  if (delivery === undefined) return true;
  takeFor(state, { window, delivery, answer }, now);
  return false;
}

/** Takes in which row a late answer is for. */
export function takeFound(state: EngineState, { search, row }: FoundRow, now: Now): void {
  const { window, answer } = search;
  if (window.phase !== 'owned') return;
  const known = inMemory(state, window, answer);
  if (known === undefined && row?.inFlight === true && row.attempt === answer.attempt) {
    const endpointLane = endpointLaneOf(state, answer.endpointId, window);
    const delivery: Delivery = {
      event: row.event,
      endpointLane,
      ordered: row.ordered,
      state: 'in_flight',
      attempt: row.attempt,
      isUnanswered: true,
      entry: undefined,
      behind: undefined,
      origin: undefined,
      startedAtMs: 0,
      revision: 0,
      notBeforeMs: 0,
    };
    addClaimed(endpointLane, delivery);
    hold(state, delivery);
    apply(state, { window, delivery, answer }, now);
    forgetIfIdle(state, endpointLane.endpoint);
  }
  done(window, answer, now);
}

function inMemory(
  state: EngineState,
  window: LaneWindow,
  { position, endpointId }: StoredAnswer,
): Delivery | undefined {
  const endpointLane = findEndpointLane(state, endpointId, window);
  return (
    endpointLane?.claimed?.get(position) ??
    entryAt(window, position)?.deliveries.find((each) => each.endpointLane === endpointLane)
  );
}

interface Late {
  readonly window: LaneWindow;
  readonly delivery: Delivery;
  readonly answer: StoredAnswer;
}

/** Takes it in for a delivery in memory, if that was not sent here. */
function takeFor(state: EngineState, late: Late, now: Now): void {
  const { window, delivery, answer } = late;
  const { endpoint } = delivery.endpointLane;
  if (isClaimedUnsent(delivery, answer)) {
    beginAttempt(state, delivery);
    apply(state, late, now);
  } else if (isNewUnsent(delivery) && answer.outcome.kind === 'delivered') {
    apply(state, late, now);
  }
  done(window, answer, now);
  forgetIfIdle(state, endpoint);
}

function isClaimedUnsent(delivery: Delivery, { attempt }: StoredAnswer): boolean {
  const { state, entry, isUnanswered } = delivery;
  return entry === undefined && state === 'queued' && isUnanswered && delivery.attempt === attempt;
}

/** It is above progress: what failed is not counted, because it is sent at once. */
function isNewUnsent({ state, entry, attempt }: Delivery): boolean {
  const isUnsent = state === 'queued' || state === 'waiting' || state === 'deferred';
  return entry !== undefined && isUnsent && attempt === 0;
}

function apply(state: EngineState, { delivery, answer }: Late, now: Now): void {
  delivery.attempt = answer.attempt;
  delivery.startedAtMs = answer.startedAtMs;
  delivery.revision = answer.revision;
  delivery.isUnanswered = false;
  takeOutcome(state, { delivery, outcome: answer.outcome }, now);
}

/** It is removed with the next recording. */
function done(window: LaneWindow, { answerId }: StoredAnswer, now: Now): void {
  window.answersTaken.push(answerId);
  markUnwritten(window, now);
}
