import { takeChanges } from './changes.ts';
import { wakeDue } from './calling.ts';
import { takeCensus, type EngineCensus } from './census.ts';
import { claimDue, takeClaimed } from './claiming.ts';
import { roomToRevive, type RoomToRevive } from './cursors.ts';
import type {
  Answer,
  ClaimResult,
  Effect,
  FoundRow,
  Now,
  OwnerRequest,
  ReadRequest,
  StoredAnswer,
} from './effect.ts';
import {
  dropLane,
  endLane,
  gainLane,
  handOverDue,
  releaseFinished,
  type GainedLane,
} from './lanes.ts';
import type { LaneWindow } from './lane-window.ts';
import { searchRows, takeFound, takeLateAnswer } from './late-answers.ts';
import { readRequests, takeSlices, type MatchedSlice } from './matching.ts';
import { measurePace } from './pace.ts';
import { expireDue } from './expiring.ts';
import type { LaneRecorded, Recording } from './recording.ts';
import { recordAtMs, recordDue, takeRecorded, takeRequest } from './recordings.ts';
import { sendQueued, takeAnswer } from './sending.ts';
import { refillDue, takeRefilled, type Refilled } from './refilling.ts';
import { standingsOf, type EndpointStanding } from './standings.ts';
import { createState, type EngineOptions, type EngineState } from './state.ts';

/**
 * All that decides in the dispatcher: what is sent when, in which order, what is recorded, parked,
 * claimed and cancelled. It is synchronous and has neither clock nor randomness nor I/O: what
 * happens goes in with its time, what is to be done comes out as effects (ARCHITECTURE.md, "The engine is
 * deterministic"). Each input may yield effects; take them after it.
 */
export class Engine {
  private readonly state: EngineState;

  constructor(options: EngineOptions) {
    this.state = createState(options);
  }

  /** A lane was taken over, and its state loaded behind the barrier. */
  laneGained(gained: GainedLane, now: Now): void {
    gainLane(this.state, gained, now);
    this.advance(now);
  }

  /** The lease of a lane is lost: nothing of it may be written any more. */
  laneLost(lane: number, now: Now): void {
    const window = this.state.windows.get(lane);
    if (window !== undefined) dropLane(this.state, window);
    this.advance(now);
  }

  /** Another process is to have the lane: give it up within a second. */
  handOver(lane: number, now: Now): void {
    endLane(this.state, lane, now);
    this.advance(now);
  }

  /** The process stops: give up every lane within a second. */
  drain(now: Now): void {
    for (const lane of this.state.windows.keys()) {
      endLane(this.state, lane, now);
    }
    this.advance(now);
  }

  /** Sends may begin until this time, monotonic clock. */
  leaseExtended(untilMs: number, now: Now): void {
    this.state.leaseUntilMs = untilMs;
    this.advance(now);
  }

  /** Events were read, and matched behind the barrier. */
  eventsRead(slices: readonly MatchedSlice[], now: Now): void {
    takeSlices(this.state, slices, now);
    this.advance(now);
  }

  /** Endpoints were registered, changed or unregistered. */
  endpointsChanged(endpointIds: readonly string[], now: Now): void {
    takeChanges(this.state, endpointIds, now);
    this.advance(now);
  }

  /** A send ended. */
  answered(answer: Answer, now: Now): void {
    takeAnswer(this.state, answer, now);
    this.advance(now);
  }

  /** A recording was committed, or refused for some of its lanes. */
  recorded(recording: Recording, results: readonly LaneRecorded[], now: Now): void {
    takeRecorded(this.state, recording, { results, now });
    this.advance(now);
  }

  /** A claim was read. */
  claimed(results: readonly ClaimResult[], now: Now): void {
    this.state.claimUnderWay = false;
    for (const result of results) takeClaimed(this.state, result, now);
    this.advance(now);
  }

  /** The log was read again from cursors, and matched behind the barrier. */
  refilled(results: readonly Refilled[], now: Now): void {
    this.state.refillsUnderWay = 0;
    for (const result of results) takeRefilled(this.state, result, now);
    this.advance(now);
  }

  /** Answers to attempts of former owners were read. */
  answeredLate(answers: readonly StoredAnswer[], now: Now): void {
    for (const answer of answers) takeLateAnswer(this.state, answer, now);
    this.advance(now);
  }

  /** The rows of late answers were read. */
  found(rows: readonly FoundRow[], now: Now): void {
    this.state.claimUnderWay = false;
    for (const row of rows) takeFound(this.state, row, now);
    this.advance(now);
  }

  /** Somebody asks something of the owner of a lane. */
  requested(requests: readonly OwnerRequest[], now: Now): void {
    for (const request of requests) takeRequest(this.state, request, now);
    this.advance(now);
  }

  /** Time has passed. */
  tick(now: Now): void {
    this.advance(now);
  }

  /** Takes what is to be done, in order. */
  takeEffects(): Effect[] {
    const { effects } = this.state;
    if (effects.length > 0) this.state.effects = [];
    return effects;
  }

  /** Says which lanes have room for more events. */
  readRequests(): ReadRequest[] {
    return readRequests(this.state);
  }

  /** The lanes that it works on, without those that it gives up. */
  lanes(): LaneStanding[] {
    return [...this.state.windows.values()].filter(({ phase }) => phase === 'owned');
  }

  /** Says whether a dead delivery may be asked for now; else the request is left where it is. */
  roomToRevive(place: Pick<OwnerRequest, 'lane' | 'endpointId'>): RoomToRevive {
    return roomToRevive(this.state, place);
  }

  /** Says when `tick` is due: on the monotonic and on the wall clock, Infinity for never. */
  wakeAt(): Now {
    const { handOverAtMs, wakeTimes } = this.state;
    const monotonicMs = Math.min(recordAtMs(this.state), handOverAtMs, wakeTimes.earliestMs());
    return { monotonicMs, wallMs: this.state.dueTimes.earliestMs() };
  }

  /** How each endpoint stands that has something, or had. */
  standings(now: Now): Iterable<EndpointStanding> {
    return standingsOf(this.state, now);
  }

  /** What it holds now, against its limits. */
  usage(): EngineUsage {
    const { inFlight, held, heldBytes, unrecorded, windows } = this.state;
    return { inFlight, held, heldBytes, unrecorded, lanes: windows.size };
  }

  /** How much it holds, and how its endpoints and lanes stand. */
  census(now: Now): EngineCensus {
    return takeCensus(this.state, now);
  }

  private advance(now: Now): void {
    measurePace(this.state.pace, now.monotonicMs);
    handOverDue(this.state, now);
    wakeDue(this.state, now);
    sendQueued(this.state, now);
    searchRows(this.state, now);
    claimDue(this.state, now);
    refillDue(this.state);
    expireDue(this.state, now);
    recordDue(this.state, now);
    releaseFinished(this.state);
  }
}

/** Where a lane stands. */
export type LaneStanding = Pick<LaneWindow, 'lane' | 'epoch' | 'progress' | 'readPosition'>;

/** How much of its limits the engine uses. */
export interface EngineUsage {
  readonly inFlight: number;
  readonly held: number;
  readonly heldBytes: number;
  readonly unrecorded: number;
  readonly lanes: number;
}
