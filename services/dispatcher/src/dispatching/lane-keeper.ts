import { setTimeout as sleep } from 'node:timers/promises';

import type { LaneHolder, LaneLeases } from '@billhook/lane-leases';
import { transaction, type Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { GainedLane } from '../engine/lanes.ts';
import { loadLane } from '../postgres/lanes.ts';
import type { RevisionBarrier } from '../subscriptions/barrier.ts';
import type { EngineLoop } from './engine-loop.ts';

const RETRY_LOAD_AFTER_MS = 200;
/** A process may get hundreds of lanes at once: they must not take all sessions for themselves. */
const LOADS_AT_A_TIME = 4;

/** What stands between the leases and the engine. */
export interface LaneKeeper {
  /** To be told of gained, revoked and lost lanes. */
  readonly holder: LaneHolder;
  /** Gives up what is being loaded. From now on the engine itself gives its lanes up. */
  stop(): void;
}

/**
 * Makes the keeper. When a lane is gained, the view of the endpoints is brought up to date, and the
 * lane is loaded under its fence, before the engine has it: rows that a predecessor parked are then
 * judged by a view that is no older than the one they were matched by. It is loaded last, so that what
 * former owners were answered meanwhile counts before anything is sent again.
 */
export function createLaneKeeper(deps: {
  readonly pool: Pool;
  readonly leases: LaneLeases;
  readonly barrier: RevisionBarrier;
  readonly loop: EngineLoop;
  readonly log: Log;
}): LaneKeeper {
  const { pool, leases, barrier, loop, log } = deps;
  const loading = new Map<number, { readonly epoch: number; readonly abort: AbortController }>();
  const lastLoads: Promise<unknown>[] = [];
  let stopped = false;

  async function load(lane: number, epoch: number, signal: AbortSignal): Promise<void> {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        await barrier.awaitCurrent(signal);
        const gained = await inTurn(lane, () => loadUnderFence(lane, epoch, signal));
        if (gained === undefined) return leases.refused(lane, epoch);
        signal.throwIfAborted();
        loading.delete(lane);
        return loop.input((engine, at) => engine.laneGained(gained, at));
      } catch (error) {
        if (signal.aborted) return undefined;
        if (failures === 1) log.warn({ err: error, lane }, 'a lane could not be loaded');
        await sleep(RETRY_LOAD_AFTER_MS, undefined, { signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  /** Each lane waits for one of the few places. */
  function inTurn<Result>(lane: number, work: () => Promise<Result>): Promise<Result> {
    const place = lane % LOADS_AT_A_TIME;
    const result = (lastLoads[place] ?? Promise.resolve()).then(work);
    lastLoads[place] = result.catch(() => undefined);
    return result;
  }

  async function loadUnderFence(
    lane: number,
    epoch: number,
    signal: AbortSignal,
  ): Promise<GainedLane | undefined> {
    signal.throwIfAborted();
    return await transaction(pool, async (client) => {
      const held = await leases.fence(client, [{ lane, epoch }]);
      return held.has(lane) ? await loadLane(client, lane, epoch) : undefined;
    });
  }

  /** Returns true when the lane was only being loaded: the engine does not have it. */
  function cancelLoading(lane: number): boolean {
    loading.get(lane)?.abort.abort();
    return loading.delete(lane);
  }

  return {
    holder: {
      gained(lane, epoch) {
        cancelLoading(lane);
        if (stopped) return leases.release(lane, epoch);
        const abort = new AbortController();
        loading.set(lane, { epoch, abort });
        void load(lane, epoch, abort.signal);
        return undefined;
      },
      revoked(lane, epoch) {
        if (cancelLoading(lane)) leases.release(lane, epoch);
        else if (!stopped) loop.input((engine, at) => engine.handOver(lane, at));
      },
      lost(lane) {
        cancelLoading(lane);
        loop.input((engine, at) => engine.laneLost(lane, at));
      },
    },
    stop() {
      stopped = true;
      for (const [lane, { epoch }] of loading) {
        cancelLoading(lane);
        // Another process need not wait until all that this one has is recorded.
        leases.release(lane, epoch);
      }
    },
  };
}
