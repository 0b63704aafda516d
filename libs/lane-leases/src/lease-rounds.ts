import type { Log } from '@billhook/runtime';
import { createLaneHoldings } from './lane-holdings.ts';
import type { LaneHolder } from './lane-holdings.ts';
import { createLeaseBook } from './lease-book.ts';
import type { LeasePlan } from './lease-book.ts';
import type { LeaseStatements } from './statements.ts';

export interface LeaseRoundsOptions {
  readonly ownerId: string;
  /** A lease whose counter stands still for so long may be taken over. */
  readonly leaseMs: number;
  /** How long before that the last send may begin. */
  readonly marginMs: number;
  readonly ownership: 'shared' | 'sole';
  /** A revoked lane that is still held after so long is spoken of. */
  readonly complainAfterMs: number;
  /** A revoked lane that is still held after so long is taken from its holder. */
  readonly takeAwayAfterMs: number;
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
  /** Notes that the lane is to be given up in the next round, if it is held under this epoch. */
  release(lane: number, epoch: number): void;
  /** From the next round on nothing is taken, and everything is revoked. */
  leave(): void;
}

/** Makes the rounds of a process that holds nothing. */
export function createLeaseRounds(
  deps: {
    readonly statements: LeaseStatements;
    readonly holder: LaneHolder;
    readonly monotonicMs: () => number;
    readonly log: Log;
  },
  options: LeaseRoundsOptions,
): LeaseRounds {
  const { statements, monotonicMs, log } = deps;
  /** Revoked lanes that were spoken of, with their epochs. */
  const complained = new Map<number, number>();
  const holdings = createLaneHoldings(deps.holder);
  const book = createLeaseBook(options);
  let safeUntilMs = -Infinity;
  let mustSeize = options.ownership === 'sole';
  let joins = 0;
  let leaving = false;

  /** The rows say whose the lanes are; the renewal that follows finds them. */
  async function seize(): Promise<void> {
    await statements.forgetOthers();
    await statements.takeAll();
    mustSeize = false;
  }

  async function giveUp(): Promise<void> {
    const lanes = holdings.releasing();
    if (lanes.length === 0) return;
    await statements.release(lanes);
    holdings.gaveUp(lanes);
  }

  async function renew(): Promise<void> {
    const sentAtMs = monotonicMs();
    const renewed = await statements.renew();
    safeUntilMs = sentAtMs + options.leaseMs - options.marginMs;
    const unknown = holdings.confirm(renewed);
    if (leaving) unknown.forEach(({ lane, epoch }) => holdings.release(lane, epoch));
    else holdings.gain(unknown);
  }

  async function look(): Promise<LeasePlan> {
    const askedAtMs = monotonicMs();
    const lanes = await statements.readLanes();
    const members = await statements.readMembers();
    const observation = { lanes, members, askedAtMs, answeredAtMs: monotonicMs() };
    return book.judge(observation, holdings.held.size);
  }

  async function share(): Promise<void> {
    joins += 1;
    await statements.join(joins);
    const plan = await look();
    if (plan.forget.length > 0) await statements.forget(plan.forget);
    if (plan.take.length > 0) holdings.gain(await statements.take(plan.take));
    holdings.revokeAbove(plan.share, monotonicMs());
  }

  /** Whoever works on a lane may hang; others must not wait for it for ever. */
  function hurry(): void {
    const nowMs = monotonicMs();
    for (const { lane, epoch } of holdings.revokedBy(nowMs - options.complainAfterMs)) {
      if (complained.get(lane) === epoch) continue;
      complained.set(lane, epoch);
      log.warn({ lane }, 'a lane that others should have is not given up yet');
    }
    for (const { lane, epoch } of holdings.revokedBy(nowMs - options.takeAwayAfterMs)) {
      log.error({ lane }, 'a lane that others should have is taken away from this process');
      holdings.takeAway(lane, epoch);
    }
  }

  return {
    async round() {
      if (mustSeize) await seize();
      await giveUp();
      await renew();
      if (leaving) {
        await statements.leave();
        holdings.revokeAbove(0, monotonicMs());
      } else {
        await share();
      }
      hurry();
    },
    held: () => holdings.held,
    safeUntilMs: () => safeUntilMs,
    release(lane, epoch) {
      if (holdings.held.get(lane) === epoch) holdings.release(lane, epoch);
    },
    leave() {
      leaving = true;
    },
  };
}
