import type { OwnedLane } from './fence.ts';

/** Who works on the lanes. It is called synchronously and must not throw. */
export interface LaneHolder {
  /** The lane is ours from now on: load what is recorded of it, then read. */
  gained(lane: number, epoch: number): void;
  /** Others should have the lane: settle or park within a second, commit, then `release` it. */
  revoked(lane: number, epoch: number): void;
  /** The lane is ours no more: drop what is known of it. */
  lost(lane: number, epoch: number): void;
}

/**
 * The lanes of one process. A lane in its eyes:
 *
 * ```
 * (others') -> held -> revoked -> releasing -> (free)
 *    ^          |         | |          ^
 *    +--- lost -+---------+ +-- lost --+
 * ```
 * A revoked lane that its holder does not release in time is taken from it: the holder is told that
 * the lane is lost, and the lane is given up.
 *
 * A take-over whose answer was lost shows in the next renewal as a lane that is ours and unknown:
 * it is gained then, which is safe since nothing was done under its epoch. A release whose answer
 * was lost is repeated until it is confirmed, and the lane is not gained again before.
 */
export interface LaneHoldings {
  /** The lanes that are held, revoked ones too, with their epochs. */
  readonly held: ReadonlyMap<number, number>;
  gain(lanes: readonly OwnedLane[]): void;
  /** Loses what a renewal did not find any more, and returns what it found and nobody knew of. */
  confirm(renewed: readonly OwnedLane[]): OwnedLane[];
  /** Revokes what is held beyond so many lanes; what was revoked before counts as beyond. */
  revokeAbove(count: number, nowMs: number): void;
  /** The lanes that were revoked at that time or before, and are still held. */
  revokedBy(timeMs: number): OwnedLane[];
  /** Takes a lane from its holder, and gives it up. */
  takeAway(lane: number, epoch: number): void;
  /** Stops to hold a lane; it is to be given up. */
  release(lane: number, epoch: number): void;
  releasing(): OwnedLane[];
  gaveUp(lanes: readonly OwnedLane[]): void;
}

/** Makes holdings without a lane, of which the holder is told from now on. */
export function createLaneHoldings(holder: LaneHolder): LaneHoldings {
  const held = new Map<number, number>();
  /** Since when, monotonic clock. */
  const revoked = new Map<number, number>();
  const releasing = new Map<number, number>();

  function letGo(lane: number): void {
    held.delete(lane);
    revoked.delete(lane);
  }

  function release(lane: number, epoch: number): void {
    if (held.get(lane) === epoch) letGo(lane);
    releasing.set(lane, epoch);
  }

  return {
    held,
    gain(lanes) {
      for (const { lane, epoch } of lanes) {
        held.set(lane, epoch);
        holder.gained(lane, epoch);
      }
    },
    confirm(renewed) {
      const epochs = new Map(renewed.map(({ lane, epoch }) => [lane, epoch]));
      for (const [lane, epoch] of held) {
        if (epochs.get(lane) === epoch) continue;
        letGo(lane);
        holder.lost(lane, epoch);
      }
      return renewed.filter(({ lane }) => !held.has(lane) && !releasing.has(lane));
    },
    revokeAbove(count, nowMs) {
      const kept = [...held].filter(([lane]) => !revoked.has(lane)).toSorted(([a], [b]) => a - b);
      for (const [lane, epoch] of kept.slice(count)) {
        revoked.set(lane, nowMs);
        holder.revoked(lane, epoch);
      }
    },
    revokedBy: (timeMs) =>
      [...held]
        .filter(([lane]) => (revoked.get(lane) ?? Infinity) <= timeMs)
        .map(([lane, epoch]) => ({ lane, epoch })),
    takeAway(lane, epoch) {
      release(lane, epoch);
      holder.lost(lane, epoch);
    },
    release,
    releasing: () => [...releasing].map(([lane, epoch]) => ({ lane, epoch })),
    gaveUp(lanes) {
      for (const { lane } of lanes) releasing.delete(lane);
    },
  };
}
