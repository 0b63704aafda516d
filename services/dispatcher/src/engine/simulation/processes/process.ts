import type { Delivery } from '../../delivery.ts';
import type { Answer, Effect, Now } from '../../effect.ts';
import { Engine, type EngineUsage } from '../../engine.ts';
import { DEFAULT_LIMITS, type EngineLimits } from '../../limits.ts';
import type { LaneRecorded, Recording } from '../../recording.ts';
import type { Refilled } from '../../refilling.ts';
import type { EngineState } from '../../state.ts';
import { checkBounds, checkEffect } from '../checks/bounds.ts';
import { checkState, findLeft } from '../checks/state.ts';
import { Clock } from './clock.ts';
import { Fairness } from '../checks/fairness.ts';
import { ReadingOn } from '../checks/reading-on.ts';
import {
  countChanges,
  countDeath,
  countRecording,
  countRefilled,
  lookBefore,
} from '../checks/races.ts';
import type { Pending } from '../timeline.ts';
import type { Surroundings } from '../surroundings.ts';
import { describeEffect } from './describing.ts';
import { SimulatedView } from './watch.ts';

export const DELIVERY_TIMEOUT_MS = 5_000;
const RETENTION_MS = 86_400_000;
/** As in `dispatching/engine-loop.ts`. */
const TICK_AT_LEAST_EVERY_MS = 1_000;
/** An engine that wants to be woken more often in a second has nothing to do. */
const MOST_TICKS_A_SECOND = 500;
export const RETRY_SCHEDULE_MS: readonly number[] = [
  2_000,
  4_000,
  ...Array.from({ length: 12 }, () => 8_000),
];

/** Small ones, so that everything runs into them. */
export const SMALL_LIMITS: EngineLimits = {
  ...DEFAULT_LIMITS,
  maxInFlight: 10,
  maxInFlightPerEndpoint: 8,
  maxInFlightPerOrigin: 5,
  circuit: { failures: 4, firstWaitMs: 200, longestWaitMs: 3_000 },
  maxClaimed: 80,
  maxClaimedPerEndpoint: 8,
  maxWindowEvents: 50,
  maxReadEvents: 7,
  maxHeld: 200,
  minQueued: 40,
  maxReady: 8,
  maxClaims: 3,
  expireEveryMs: 2_000,
  maxListed: 2,
  maxBlockedPairs: 4,
  maxBlockedPairsInAll: 10,
  maxRowsPerEndpointLane: 6,
  maxRestingRowsPerEndpointLane: 20,
  maxRowsPerLane: 14,
  refillAtPart: 0.5,
  maxRefillEvents: 5,
  maxRefillRows: 6,
  maxRefillEndpoints: 2,
  maxRefills: 1,
};

const TICKS = 'ticks';
const RENEWS = 'renews its leases';
/** What is not worth a line unless something comes of it. */
const QUIET: ReadonlySet<string> = new Set([TICKS, RENEWS]);

/** What a process cannot do itself. */
export interface ProcessHost {
  carryOut(process: SimulatedProcess, effect: Effect): void;
  /** It was given something, and may have room for more. */
  wakeReader(process: SimulatedProcess): void;
  /** It died between two effects. */
  died(process: SimulatedProcess): void;
}

/** A send whose answer is still to come. */
export interface Sent {
  /** It had no row when it was sent. */
  readonly wasAbove: boolean;
}

/** A dispatcher: an engine with clocks and a view of its own, whose every step is checked. */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly view = new SimulatedView();
  /** Sends whose answers are still to come. */
  readonly sends = new Map<Delivery, Sent>();
  /** What it was asked by others and has not carried out, with the epoch of the lane. */
  readonly asked = new Set<string>();
  /** Late answers that it has, with the epoch of the lane. */
  readonly answers = new Set<string>();
  /** Endpoints that it may not call until the set says how they stand. */
  readonly gone = new Set<string>();
  /** Epochs of lanes that were gained and are being loaded. */
  readonly loading = new Map<number, number>();
  uncommitted: Recording | undefined;
  isAlive = true;
  isStopping = false;
  isReading = false;
  /** Nothing happens in it before. */
  frozenUntilMs = -Infinity;
  /** What came while it slept. */
  postponed: Pending[] = [];
  /** It dies when it has carried out so many effects of one input. */
  effectsUntilDeath = Infinity;
  /** It dies when it has carried out an effect of this kind. */
  deadlyEffect: Effect['kind'] | undefined;
  /** On its monotonic clock. */
  leaseUntilMs = -Infinity;
  /** Late answers that are not written yet. */
  answersLeft = 0;
  private readonly engine: Engine;
  private readonly around: Surroundings;
  private readonly host: ProcessHost;
  private readonly fairness: Fairness;
  private readonly readingOn: ReadingOn;
  private timer = 0;
  private timerAtMs = Infinity;
  private ticks: number[] = [];

  constructor(name: string, around: Surroundings, host: ProcessHost) {
    const { timeline, dice, world } = around;
    this.name = name;
    this.around = around;
    this.host = host;
    this.clock = new Clock(timeline.nowMs - dice(`boot ${name}`) * 1_000_000);
    const limits = { ...SMALL_LIMITS, ...world.limits };
    this.fairness = new Fairness(limits);
    this.readingOn = new ReadingOn(around);
    this.engine = new Engine({
      random: () => dice(`jitter ${name}`),
      revision: () => this.view.revision,
      view: (endpointId) => this.view.endpoint(endpointId),
      matches: ({ endpointId }, event) => this.view.matches(endpointId, event),
      retryScheduleMs: world.retryScheduleMs ?? RETRY_SCHEDULE_MS,
      deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
      retentionMs: world.retentionMs ?? RETENTION_MS,
      limits,
    });
  }

  now(): Now {
    return this.clock.at(this.around.timeline.nowMs);
  }

  state(): EngineState {
    return this.engine['state'];
  }

  usage(): EngineUsage {
    return this.engine.usage();
  }

  /** The lanes that it works on, with their epochs. */
  ownedLanes(): Map<number, number> {
    return new Map(this.engine.lanes().map(({ lane, epoch }) => [lane, epoch]));
  }

  readRequests(): ReturnType<Engine['readRequests']> {
    return this.engine.readRequests();
  }

  /** The set of endpoints looks another way now. */
  see(endpointIds: readonly string[]): void {
    for (const endpointId of endpointIds) this.gone.delete(endpointId);
    if (endpointIds.length === 0) return;
    this.input(`sees ${endpointIds.join(' ')}`, (engine, now) => {
      engine.endpointsChanged(endpointIds, now);
    });
  }

  /** Sends begin before this time only, on its monotonic clock. */
  lease(untilMs: number): void {
    this.leaseUntilMs = untilMs;
    this.input(RENEWS, (engine, now) => engine.leaseExtended(untilMs, now));
  }

  answer(answer: Answer): void {
    const { delivery, outcome } = answer;
    const { endpointLane, attempt, event, behind } = delivery;
    const { endpoint, window } = endpointLane;
    const { races, repeats } = this.around;
    const sent = this.sends.get(delivery);
    const isParked = sent?.wasAbove === true && delivery.entry === undefined;
    if (window.phase === 'lost') {
      races.count('answerAfterHandOver');
      // It may get lost before it is written, or be read too late.
      repeats.allow();
    } else if (isParked) {
      races.count('answerAfterPark');
    }
    if (endpoint.view?.state !== 'active') races.count('answerAfterDisable');
    if (behind !== undefined && outcome.kind !== 'delivered') races.count('headFailed');
    this.sends.delete(delivery);
    if (outcome.kind === 'delivered') repeats.hear(delivery);
    const what = `${endpoint.id} ${event.lane}:${event.position} attempt ${attempt}`;
    this.input(`hears ${outcome.kind} ${what}`, (engine, now) => engine.answered(answer, now));
  }

  recorded(recording: Recording, results: readonly LaneRecorded[]): void {
    for (const { kind, lane } of results) {
      const epoch = recording.lanes.find((written) => written.lane === lane)?.epoch ?? 0;
      if (kind === 'refused') this.around.repeats.laneMoves(this, { lane, epoch });
    }
    this.uncommitted = undefined;
    for (const { carriedOut, answersTaken, lane, epoch } of recording.lanes) {
      for (const { requestId } of carriedOut) this.asked.delete(`${requestId} ${lane} ${epoch}`);
      for (const answerId of answersTaken) this.answers.delete(`${answerId} ${lane} ${epoch}`);
    }
    const kinds = results.map(({ lane, kind }) => `${lane} ${kind}`);
    this.input(`recording ${recording.number}: ${kinds.join(', ')}`, (engine, now) => {
      engine.recorded(recording, results, now);
    });
  }

  refilled(results: readonly Refilled[]): void {
    countRefilled(this.around.races, results, this.state());
    const read = results.map(({ refill, events }) => {
      return `${refill.lane}:${refill.after}+${events.length}`;
    });
    this.input(`refill ${read.join(' ')}`, (engine, now) => engine.refilled(results, now));
  }

  /** Takes in what was answered late; `what` says by which way. */
  answeredLate(what: string, give: (engine: Engine, now: Now) => void): void {
    const { unrecorded } = this.state();
    this.input(what, give);
    const { recordingUnderWay, unrecorded: after } = this.state();
    if (after > unrecorded || (recordingUnderWay && after < unrecorded)) {
      this.around.races.count('lateAnswerTaken');
    }
  }

  /** Gives an input, has the effects carried out, and checks what the engine holds. */
  input(what: string, give: (engine: Engine, now: Now) => void): void {
    if (!this.isAlive) return;
    const { trace, timeline, races } = this.around;
    const state = this.state();
    const before = lookBefore(state);
    give(this.engine, this.now());
    const effects = this.engine.takeEffects();
    if (!QUIET.has(what) || effects.length > 0) trace.note(timeline.nowMs, `${this.name} ${what}`);
    const record = effects.find((effect) => effect.kind === 'record');
    if (record !== undefined) this.uncommitted = record.recording;
    for (const [index, effect] of effects.entries()) {
      if (index >= this.effectsUntilDeath) {
        races.count('diedBetweenEffects');
        return this.host.died(this);
      }
      trace.note(timeline.nowMs, `${this.name}   -> ${describeEffect(effect)}`);
      this.carryOut(effect);
      if (effect.kind === this.deadlyEffect) return this.host.died(this);
    }
    countChanges(races, before, state);
    const { store } = this.around;
    checkState(state, { store, sends: new Set(this.sends.keys()) });
    checkBounds(state);
    this.fairness.check(state, { now: this.now(), leaseUntilMs: this.leaseUntilMs, effects });
    this.readingOn.check(state, this.engine.readRequests());
    this.setTimer();
    this.host.wakeReader(this);
  }

  /** Ends it; what it had in hand is lost. */
  die(): void {
    this.isAlive = false;
    countDeath(this.around.races, this.state(), this.uncommitted);
  }

  /** Says what it has left; undefined when it is done with everything. */
  findLeft(): string | undefined {
    if (this.answersLeft > 0) return 'Answers are not written.';
    return findLeft(this.state());
  }

  private carryOut(effect: Effect): void {
    checkEffect(effect, this.state());
    if (effect.kind === 'send') {
      const { delivery } = effect;
      this.sends.set(delivery, { wasAbove: delivery.entry !== undefined });
    } else if (effect.kind === 'record') {
      countRecording(this.around.races, effect, this.state());
    } else if (effect.kind === 'report_gone') {
      this.gone.add(effect.endpointId);
    }
    this.host.carryOut(this, effect);
  }

  /** As `dispatching/engine-loop.ts` does. */
  private setTimer(): void {
    const { timeline } = this.around;
    const wakeAt = this.engine.wakeAt();
    const { wallMs, monotonicMs } = this.now();
    const untilMs = Math.min(
      wakeAt.monotonicMs - monotonicMs,
      wakeAt.wallMs - wallMs,
      TICK_AT_LEAST_EVERY_MS,
    );
    const inMs = Math.max(1, untilMs);
    if (timeline.nowMs + inMs >= this.timerAtMs) return;
    this.timerAtMs = timeline.nowMs + inMs;
    this.timer += 1;
    const { timer } = this;
    timeline.later(inMs, { process: this, run: () => this.tick(timer) });
  }

  private tick(timer: number): void {
    if (timer !== this.timer) return;
    this.timerAtMs = Infinity;
    const { nowMs } = this.around.timeline;
    this.ticks = [...this.ticks.filter((atMs) => atMs > nowMs - 1_000), nowMs];
    if (this.ticks.length > MOST_TICKS_A_SECOND) throw new Error('It is woken without end.');
    this.input(TICKS, (engine, now) => engine.tick(now));
  }
}
