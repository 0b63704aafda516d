import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@billhook/postgres';

/** A lane that got another owner: when it still had the one before, and when it was seen to have not. */
export interface LaneMove {
  readonly lane: number;
  readonly afterMs: number;
  readonly seenAtMs: number;
}

/** Watches which lanes change their dispatcher. */
export interface LaneWatch {
  readonly moves: readonly LaneMove[];
  close(): Promise<void>;
}

const EVERY_MS = 200;

/** Watches from now on. What cannot be seen while Postgres is away is seen later, as less exact. */
export function watchLanes(pool: Pool): LaneWatch {
  const ended = new AbortController();
  const moves: LaneMove[] = [];
  const known = new Map<number, { epoch: string; seenAtMs: number }>();

  async function look(): Promise<void> {
    const askedAtMs = Date.now();
    const { rows } = await pool.query<{ lane: number; epoch: string }>(
      'select lane, epoch::text as epoch from dispatcher.lane_lease',
    );
    const seenAtMs = Date.now();
    for (const { lane, epoch } of rows) {
      const before = known.get(lane);
      if (before !== undefined && before.epoch !== epoch) {
        moves.push({ lane, afterMs: before.seenAtMs, seenAtMs });
      }
      known.set(lane, { epoch, seenAtMs: askedAtMs });
    }
  }

  async function run(): Promise<void> {
    while (!ended.signal.aborted) {
      await look().catch(() => undefined);
      await sleep(EVERY_MS, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  }

  const running = run();
  return {
    moves,
    async close() {
      ended.abort();
      await running;
    },
  };
}
