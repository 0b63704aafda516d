import type { Delivery } from '../delivery.ts';
import type { Effect, Now } from '../effect.ts';
import { Engine, type EngineUsage } from '../engine.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { EngineOptions } from '../state.ts';
import { checkIdle, checkState } from './checks.ts';
import type { SimulatedStore } from './store.ts';

export const DELIVERY_TIMEOUT_MS = 5_000;

/** Small ones, so that everything runs into them. */
const LIMITS = {
  ...DEFAULT_LIMITS,
  maxInFlight: 10,
  maxInFlightPerEndpoint: 4,
  maxInFlightPerOrigin: 5,
  circuit: { failures: 4, firstWaitMs: 200, longestWaitMs: 3_000 },
  maxClaimedPerEndpoint: 8,
  maxWindowEvents: 50,
  maxReadEvents: 7,
  maxHeld: 200,
  minQueued: 40,
  maxClaims: 3,
  maxListed: 2,
  maxRowsPerEndpointLane: 6,
  maxRowsPerLane: 14,
  refillAtRows: 3,
  maxRefillEvents: 5,
  maxRefillRows: 6,
  maxRefillEndpoints: 2,
  maxRefills: 1,
};

/** What the world gives a process. */
export type World = Pick<EngineOptions, 'random' | 'view' | 'matches' | 'retryScheduleMs'> & {
  readonly store: SimulatedStore;
  now(): Now;
  carryOut(process: SimulatedProcess, effect: Effect): void;
};

/** A dispatcher: an engine whose every step is checked. */
export class SimulatedProcess {
  /** Sends whose answers are still to come. */
  readonly sends = new Set<Delivery>();
  /** What it was asked by others and has not carried out, with the epoch of the lane. */
  readonly asked = new Set<string>();
  /** Late answers that it has, with the epoch of the lane. */
  readonly answers = new Set<string>();
  /** Endpoints that it may not call until the set says how they stand. */
  readonly gone = new Set<string>();
  isAlive = true;
  isStopping = false;
  isReading = false;
  leaseUntilMs = Infinity;
  private readonly engine: Engine;
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
    const { random, view, matches, retryScheduleMs } = world;
    this.engine = new Engine({
      random,
      view,
      matches,
      retryScheduleMs,
      deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
      retentionMs: 86_400_000,
      limits: LIMITS,
      revision: () => 1,
    });
    this.input((engine, now) => engine.leaseExtended(Infinity, now));
  }

  /** Gives an input, has the effects carried out, and checks what the engine holds. */
  input(give: (engine: Engine, now: Now) => void): void {
    if (!this.isAlive) return;
    give(this.engine, this.world.now());
    for (const effect of this.engine.takeEffects()) {
      if (effect.kind === 'send') this.sends.add(effect.delivery);
      this.world.carryOut(this, effect);
    }
    checkState(this.engine['state'], { store: this.world.store, sends: this.sends });
  }

  /** Sends begin before this time only. */
  lease(untilMs: number): void {
    this.leaseUntilMs = untilMs;
    this.input((engine, now) => engine.leaseExtended(untilMs, now));
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

  checkIdle(): void {
    checkIdle(this.engine['state']);
  }
}
