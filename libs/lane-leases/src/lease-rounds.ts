import type { OwnedLane } from './fence.ts';
import { createLeaseBook } from './lease-book.ts';
import type { LeasePlan } from './lease-book.ts';
import type { LeaseStatements } from './statements.ts';

/** Who works on the lanes. It is called synchronously and must not throw. */
export interface LaneHolder {
  /** The lane is ours from now on: load what is recorded of it, then read. */
  gained(lane: number, epoch: number): void;
  /** Others should have the lane: settle or park within a second, commit, then `release` it. */
  revoked(lane: number, epoch: number): void;
  /** The lane is ours no more: drop what is known of it. */
  lost(lane: number, epoch: number): void;
}

export interface LeaseTiming {
  /** A lease whose counter stands still for so long may be taken over. */
  readonly leaseMs: number;
  /** How long before that the last send may begin. */
  readonly marginMs: number;
}

/** One process's part in sharing the lanes, one round at a time. */
export interface LeaseRounds {
  /**
   * Gives up what was released, renews what is held, looks at the others, and takes or revokes
   * what the fair share asks for. Rounds must not overlap. It rejects when Postgres does not
   * answer; what was held stays held, and the next round goes on from what Postgres then says.
   */
  round(): Promise<void>;
  held(): ReadonlyMap<number, number>;
  safeUntilMs(): number;
  /** Notes that the lane is to be given up in the next round. */
  release(lane: number, epoch: number): void;
  /** From the next round on nothing is taken, and everything is revoked. */
  leave(): void;
  /** Notes that every lane is to be given up in the next round. */
  releaseAll(): void;
}

/**
 * A lane in the eyes of this process:
 *
 * ```
 * (others') -> held -> revoked -> releasing -> (free)
 *    ^          |         |
 *    +--- lost -+---------+
 * ```
 * A take-over whose answer was lost shows in the next renewal as a lane that is ours and unknown:
 * it is gained then, which is safe since nothing was done under its epoch. A release whose answer
 * was lost is repeated until it is confirmed, and the lane is not gained again before.
 */
export function createLeaseRounds(
  deps: {
    readonly statements: LeaseStatements;
    readonly holder: LaneHolder;
    readonly monotonicMs: () => number;
  },
  options: LeaseTiming & { readonly ownerId: string; readonly soleOwner: boolean },
): LeaseRounds {
  const { statements, holder, monotonicMs } = deps;
  const book = createLeaseBook(options);
  const held = new Map<number, number>();
  const revoked = new Set<number>();
  const releasing = new Map<number, number>();
  let safeUntilMs = -Infinity;
  let joins = 0;
  let seized = false;
  let leaving = false;

  function gain(lanes: readonly OwnedLane[]): void {
    for (const { lane, epoch } of lanes) {
      held.set(lane, epoch);
      holder.gained(lane, epoch);
    }
  }

  function revokeAbove(count: number): void {
    const kept = [...held].filter(([lane]) => !revoked.has(lane)).toSorted(([a], [b]) => a - b);
    for (const [lane, epoch] of kept.slice(count)) {
      revoked.add(lane);
      holder.revoked(lane, epoch);
    }
  }

  function letGo(lane: number): void {
    held.delete(lane);
    revoked.delete(lane);
  }

  async function giveUp(): Promise<void> {
    const lanes = [...releasing].map(([lane, epoch]) => ({ lane, epoch }));
    if (lanes.length === 0) return;
    await statements.release(lanes);
    for (const { lane } of lanes) releasing.delete(lane);
  }

  async function renew(): Promise<void> {
    const sentAtMs = monotonicMs();
    const renewed = await statements.renew();
    safeUntilMs = sentAtMs + options.leaseMs - options.marginMs;
    const epochs = new Map(renewed.map(({ lane, epoch }) => [lane, epoch]));
    for (const [lane, epoch] of held) {
      if (epochs.get(lane) === epoch) continue;
      letGo(lane);
      holder.lost(lane, epoch);
    }
    const unknown = renewed.filter(({ lane }) => !held.has(lane) && !releasing.has(lane));
    if (leaving) unknown.forEach(({ lane, epoch }) => releasing.set(lane, epoch));
    else gain(unknown);
  }

  async function look(): Promise<LeasePlan> {
    const askedAtMs = monotonicMs();
    const lanes = await statements.readLanes();
    const members = await statements.readMembers();
    const observation = { lanes, members, askedAtMs, answeredAtMs: monotonicMs() };
    return book.judge(observation, held.size);
  }

  async function share(): Promise<void> {
    joins += 1;
    await statements.join(joins);
    const plan = await look();
    if (plan.forget.length > 0) await statements.forget(plan.forget);
    if (plan.take.length > 0) gain(await statements.take(plan.take));
    revokeAbove(plan.share);
  }

  return {
    async round() {
      if (options.soleOwner && !seized) {
        await statements.forgetOthers();
        await statements.takeAll();
        seized = true;
      }
      await giveUp();
      await renew();
      if (leaving) {
        await statements.leave();
        revokeAbove(0);
      } else {
        await share();
      }
    },
    held: () => held,
    safeUntilMs: () => safeUntilMs,
    release(lane, epoch) {
      if (held.get(lane) !== epoch) return;
      letGo(lane);
      releasing.set(lane, epoch);
    },
    leave() {
      leaving = true;
    },
    releaseAll() {
      for (const [lane, epoch] of held) releasing.set(lane, epoch);
      held.clear();
      revoked.clear();
    },
  };
}
