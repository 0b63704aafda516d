import type { Effect } from '../../effect.ts';
import type { Circuit } from '../../circuit.ts';
import type { EndpointLane } from '../../endpoint-lane.ts';
import type { Endpoint } from '../../endpoint.ts';
import type { Refilled } from '../../refilling.ts';
import type { Recording } from '../../recording.ts';
import { findEndpointLane, lanesOf } from '../../state.ts';
import type { EngineState } from '../../state.ts';

/** What a simulation must contain to be worth anything, each with what it is. */
export const RACES = {
  movedAhead: 'a lane moved with results above its progress',
  movedAfresh: 'a lane moved without the consent of its owner',
  unknownPair: 'two rows of a pair were parked while the engine did not know the pair',
  answerAfterPark: 'an answer came after its delivery was parked in flight',
  answerAfterHandOver: 'an answer came after its lane was given up',
  lateAnswerTaken: 'an answer to a former owner counted',
  answerAfterDisable: 'an answer came from an endpoint that was not active any more',
  viewOlderThanRow: 'a lane moved to a process whose view was older than rows of it',
  laggedUncommitted: 'an endpoint began to lag while a recording was uncommitted',
  caughtUpUncommitted: 'something came for an endpoint before the recording that ended its lagging',
  refillCrashed: 'a process died with a refill under way or uncommitted',
  cursorMade: 'a cursor was made',
  cursorMoved: 'a cursor was moved',
  cursorEnded: 'a cursor was ended',
  refillMetDraft: 'a refill came while progress was being moved on in its lane',
  subscriptionWent: 'one of several subscriptions went while rows of it waited',
  circuitOpened: 'a circuit opened while deliveries were queued',
  probeFailed: 'a probe failed',
  circuitClosed: 'a circuit closed again',
  limitGrew: 'the limit of an endpoint grew',
  limitShrank: 'the limit of an endpoint shrank',
  headFailed: 'the head of claimed rows failed',
  commitUnheard: 'a recording was committed, and nobody heard of it',
  commitRepeated: 'a recording failed, and was written again',
  writeRefused: 'a process that had lost a lane tried to write',
  zombieSent: 'a process that had lost a lane sent a delivery of it',
  diedBetweenEffects: 'a process died between two effects',
  diedOfAge: 'a delivery died because it had waited for too long',
  expired: 'rows died that nobody claims',
  frozen: 'a process slept for longer than its lease, and went on',
  clockStepped: 'the clock of a process stepped while it had something in flight',
} as const;

export type Race = keyof typeof RACES;

/** How often each of them happened. */
export class Races {
  private readonly counts = new Map<string, number>();

  count(race: Race, times = 1): void {
    if (times > 0) this.counts.set(race, this.of(race) + times);
  }

  of(race: string): number {
    return this.counts.get(race) ?? 0;
  }

  add(other: Races): void {
    for (const [race, times] of other.counts) this.counts.set(race, this.of(race) + times);
  }

  /** All of them, those that never happened included. */
  list(): { readonly what: string; readonly times: number }[] {
    return Object.entries(RACES).map(([race, what]) => ({ what, times: this.of(race) }));
  }
}

/** How an endpoint stood. */
interface Stood {
  readonly circuit: Circuit['state'];
  readonly limit: number;
  readonly queued: number;
}

/** What an input may change, as it was before. */
export interface Before {
  readonly endpoints: ReadonlyMap<Endpoint, Stood>;
  readonly modes: ReadonlyMap<EndpointLane, EndpointLane['mode']>;
}

export function lookBefore(state: EngineState): Before {
  const endpoints = new Map<Endpoint, Stood>();
  const modes = new Map<EndpointLane, EndpointLane['mode']>();
  for (const endpoint of state.endpoints.values()) {
    const { circuit, concurrency, queued } = endpoint;
    endpoints.set(endpoint, { circuit: circuit.state, limit: concurrency.current, queued });
    for (const lane of lanesOf(state, endpoint)) modes.set(lane, lane.mode);
  }
  return { endpoints, modes };
}

/** Counts what an input changed in circuits and modes. */
export function countChanges(races: Races, before: Before, state: EngineState): void {
  for (const [{ circuit, concurrency }, was] of before.endpoints) {
    if (concurrency.current > was.limit) races.count('limitGrew');
    if (concurrency.current < was.limit) races.count('limitShrank');
    if (circuit.state === was.circuit) continue;
    if (circuit.state === 'closed') races.count('circuitClosed');
    else if (circuit.state === 'open' && was.circuit === 'half_open') races.count('probeFailed');
    else if (circuit.state === 'open' && was.queued > 0) races.count('circuitOpened');
  }
  for (const [lane, was] of before.modes) {
    if (lane.mode === was || lane.window.phase !== 'owned') continue;
    if (lane.mode === 'lagging') {
      if (state.recordingUnderWay) races.count('laggedUncommitted');
    } else if (hasUnrecorded(lane)) {
      races.count('caughtUpUncommitted');
    }
  }
}

/** Something that was read, and is neither settled nor parked. */
function hasUnrecorded(lane: EndpointLane): boolean {
  return lane.window.entries.some(({ deliveries }) => {
    return deliveries.some(
      ({ endpointLane, state }) => endpointLane === lane && state !== 'settled',
    );
  });
}

/** Counts what a recording will write about pairs that the engine does not know. */
export function countRecording(
  races: Races,
  effect: Effect & { readonly kind: 'record' },
  state: EngineState,
): void {
  for (const { lane, parkedRows } of effect.recording.lanes) {
    const window = state.windows.get(lane);
    const pairs = new Set<string>();
    for (const { endpointId, event, ordered } of parkedRows) {
      const mode = window && findEndpointLane(state, endpointId, window)?.mode;
      if (!ordered || mode !== 'lagging') continue;
      const pair = `${endpointId} ${event.invoiceId}`;
      if (pairs.has(pair)) races.count('unknownPair');
      pairs.add(pair);
    }
  }
}

/** Counts refills that come while a recording which moves progress on is uncommitted. */
export function countRefilled(
  races: Races,
  results: readonly Refilled[],
  state: EngineState,
): void {
  for (const { refill, events } of results) {
    const window = state.windows.get(refill.lane);
    if (window === undefined || events.length === 0 || !state.recordingUnderWay) continue;
    if (window.draftedProgress > window.progress) races.count('refillMetDraft');
  }
}

/** Counts what a process leaves undone as it dies. */
export function countDeath(
  races: Races,
  state: EngineState,
  uncommitted: Recording | undefined,
): void {
  const isDrafted = uncommitted?.lanes.some(({ movedCursors }) => movedCursors.length > 0);
  if (state.refillsUnderWay > 0 || isDrafted === true) races.count('refillCrashed');
}
