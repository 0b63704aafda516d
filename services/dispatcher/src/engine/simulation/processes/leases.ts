import type { SimulatedProcess } from './process.ts';
import type { Surroundings } from '../surroundings.ts';
import type { SimulatedWatch } from './watch.ts';

/** Whoever renewed nothing for so long is succeeded. */
export const LEASE_MS = 3_000;
/** A lease is safe for so long from when its last renewal was sent. */
const SAFE_MS = 2_400;
const RENEW_EVERY_MS = 500;
const TELL_MS = 20;
const STATEMENT_MS = 20;

interface Owner {
  readonly process: SimulatedProcess;
  readonly epoch: number;
}

/** What one process knows of its leases. */
interface Held {
  /** True time of the last renewal that counted. */
  renewedAtMs: number;
  /** It reaches nobody before, and nobody tells it anything. */
  cutUntilMs: number;
  /** Lanes that it was given and nobody has told it to be lost, with their epochs. */
  readonly lanes: Map<number, number>;
  /** When the last of what it is told comes. */
  lastToldMs: number;
}

/** Who owns which lane, as `lane-leases` does it, and what `dispatching/lane-keeper.ts` makes of it. */
export class SimulatedLeases {
  private readonly around: Surroundings;
  private readonly watch: SimulatedWatch;
  private readonly owners = new Map<number, Owner>();
  private readonly held = new Map<SimulatedProcess, Held>();

  constructor(around: Surroundings, watch: SimulatedWatch) {
    this.around = around;
    this.watch = watch;
  }

  /** A process begins to take part. */
  join(process: SimulatedProcess): void {
    const { timeline } = this.around;
    this.held.set(process, {
      renewedAtMs: timeline.nowMs,
      cutUntilMs: -Infinity,
      lanes: new Map(),
      lastToldMs: -Infinity,
    });
    this.renew(process);
  }

  ownerOf(lane: number): SimulatedProcess | undefined {
    return this.owners.get(lane)?.process;
  }

  /** A process renews nothing for a while, and hears nothing of its lanes. */
  cut(process: SimulatedProcess, forMs: number): void {
    const held = this.held.get(process);
    if (held !== undefined) held.cutUntilMs = this.around.timeline.nowMs + forMs;
  }

  /** Some process takes a lane, whoever has it. */
  takeOver(lane: number): void {
    const { timeline, dice, store, races, repeats } = this.around;
    const candidates = [...this.held.keys()].filter((process) => this.canTake(process));
    const taker = candidates[Math.floor(dice(`taker ${lane}`) * candidates.length)];
    const stored = store.lane(lane);
    if (taker === undefined) {
      const before = stored.epoch;
      const run = (): void => {
        if (stored.epoch === before) this.takeOver(lane);
      };
      timeline.later(RENEW_EVERY_MS, { process: undefined, run });
      return;
    }
    if (stored.settledAhead.length > 0) races.count('movedAhead');
    if (this.hasNewerRows(lane, taker)) races.count('viewOlderThanRow');
    const before = this.owners.get(lane);
    if (before !== undefined) repeats.laneMoves(before.process, { lane, epoch: before.epoch });
    const epoch = store.takeOver(lane);
    this.owners.set(lane, { process: taker, epoch });
    this.held.get(taker)?.lanes.set(lane, epoch);
    this.tell(taker, () => this.gained(taker, lane, epoch));
  }

  /** Takes a lane from its owner, who does not hear of it before `silentMs` have passed. */
  steal(lane: number, silentMs: number): void {
    const owner = this.ownerOf(lane);
    if (owner !== undefined) this.cut(owner, silentMs);
    this.around.races.count('movedAfresh');
    this.takeOver(lane);
  }

  /** A lane is to go to another process. */
  revoke(lane: number): void {
    const owner = this.owners.get(lane);
    if (owner === undefined) return;
    const { process, epoch } = owner;
    this.tell(process, () => {
      if (this.isLoading(process, lane, epoch)) this.release(process, lane, epoch);
      else process.input(`hands lane ${lane} over`, (engine, now) => engine.handOver(lane, now));
    });
  }

  /** A process gives a lane up. */
  release(process: SimulatedProcess, lane: number, epoch: number): void {
    const { timeline, weather } = this.around;
    const held = this.held.get(process);
    if (this.isLoading(process, lane, epoch)) process.loading.delete(lane);
    if (held?.lanes.get(lane) === epoch) held.lanes.delete(lane);
    timeline.later(weather.storeMs(process.name, STATEMENT_MS), {
      process,
      isAtServer: true,
      run: () => {
        if (this.isOwner(process, lane, epoch)) this.takeOver(lane);
      },
    });
  }

  /** A write of a process was refused: if it owns the lane still, it gets it anew. */
  refused(process: SimulatedProcess, lane: number, epoch: number): void {
    this.release(process, lane, epoch);
  }

  private canTake(process: SimulatedProcess): boolean {
    const { timeline } = this.around;
    const isAwake = timeline.nowMs >= process.frozenUntilMs;
    const held = this.held.get(process);
    const isCut = held === undefined || timeline.nowMs < held.cutUntilMs;
    return process.isAlive && !process.isStopping && isAwake && !isCut;
  }

  private isOwner(process: SimulatedProcess, lane: number, epoch: number): boolean {
    const owner = this.owners.get(lane);
    return owner?.process === process && owner.epoch === epoch;
  }

  private isLoading(process: SimulatedProcess, lane: number, epoch: number): boolean {
    return process.loading.get(lane) === epoch;
  }

  private hasNewerRows(lane: number, { view }: SimulatedProcess): boolean {
    const { store, endpoints } = this.around;
    return store
      .lane(lane)
      .parked.all()
      .some(({ endpointId, event }) => {
        return endpoints.mustGet(endpointId, event) && !view.matches(endpointId, event);
      });
  }

  /** Tells a process something of its leases, in the order in which it came about. */
  private tell(process: SimulatedProcess, run: () => void): void {
    const { timeline, dice } = this.around;
    const held = this.held.get(process);
    if (held === undefined) return;
    const atMs = timeline.nowMs + dice(`tell ${process.name}`) * TELL_MS;
    held.lastToldMs = Math.max(held.lastToldMs, atMs);
    timeline.later(held.lastToldMs - timeline.nowMs, { process, run });
  }

  /** The lane is loaded, behind the barrier and under its fence, before the engine has it. */
  private gained(process: SimulatedProcess, lane: number, epoch: number): void {
    if (process.isStopping) return this.release(process, lane, epoch);
    process.loading.set(lane, epoch);
    return this.watch.awaitCurrent(process, () => this.load(process, lane, epoch));
  }

  private load(process: SimulatedProcess, lane: number, epoch: number): void {
    if (!this.isLoading(process, lane, epoch)) return;
    const { timeline, store, weather, dice } = this.around;
    timeline.later(weather.storeMs(process.name, STATEMENT_MS), {
      process,
      isAtServer: true,
      run: () => {
        const gained = store.load(lane, epoch);
        timeline.later(dice(`load ${process.name}`) * STATEMENT_MS, {
          process,
          run: () => {
            if (!this.isLoading(process, lane, epoch)) return undefined;
            // Its engine was told to give up what it has, and would keep what it gets after that.
            if (process.isStopping) return this.release(process, lane, epoch);
            process.loading.delete(lane);
            if (gained === undefined) return this.refused(process, lane, epoch);
            return process.input(`gains lane ${lane} epoch ${epoch}`, (engine, now) => {
              engine.laneGained(gained, now);
            });
          },
        });
      },
    });
  }

  private renew(process: SimulatedProcess): void {
    const held = this.held.get(process);
    if (held === undefined) return;
    const { timeline, weather } = this.around;
    const sentAtMs = process.now().monotonicMs;
    const again = (inMs: number): void => {
      timeline.later(inMs, { process, run: () => this.renew(process) });
    };
    if (timeline.nowMs < held.cutUntilMs || weather.isStoreAway()) return again(RENEW_EVERY_MS);
    return timeline.later(weather.storeMs(process.name, STATEMENT_MS), {
      process,
      isAtServer: true,
      run: () => {
        held.renewedAtMs = timeline.nowMs;
        const lost = this.findLost(process, held);
        this.tell(process, () => {
          for (const lane of lost) this.lost(process, lane);
          process.lease(sentAtMs + SAFE_MS);
          again(RENEW_EVERY_MS);
        });
        this.succeed();
      },
    });
  }

  private findLost(process: SimulatedProcess, { lanes }: Held): number[] {
    const lost = [...lanes].filter(([lane, epoch]) => !this.isOwner(process, lane, epoch));
    for (const [lane] of lost) lanes.delete(lane);
    return lost.map(([lane]) => lane);
  }

  private lost(process: SimulatedProcess, lane: number): void {
    process.loading.delete(lane);
    process.input(`loses lane ${lane}`, (engine, now) => engine.laneLost(lane, now));
  }

  /** Takes the lanes of those whose leases are over. */
  private succeed(): void {
    const { nowMs } = this.around.timeline;
    for (const [lane, { process }] of this.owners) {
      const renewedAtMs = this.held.get(process)?.renewedAtMs ?? -Infinity;
      const awayUntilMs = this.around.weather.storeAwayUntilMs;
      if (nowMs - Math.max(renewedAtMs, awayUntilMs) < LEASE_MS) continue;
      this.around.races.count('movedAfresh');
      this.takeOver(lane);
    }
  }
}
