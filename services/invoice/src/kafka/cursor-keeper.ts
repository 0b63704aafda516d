import { setTimeout as sleep } from 'node:timers/promises';
import type { LaneLeases, OwnedLane } from '@billhook/lane-leases';
import { transaction, type Pool } from '@billhook/postgres';
import { unlessAborted, type Log } from '@billhook/runtime';
import { loadCursor, saveCursors, type RelayCursor } from '../postgres/relay-cursors.ts';
import type { LedLane } from './led-lane.ts';

const RETRY_AFTER_MS = 200;
/** One that was not saved is found again at the end of its partition by the next leader. */
const SAVE_EVERY_MS = 100;

/** Keeps the cursors of the led lanes in Postgres, under the fence. */
export interface CursorKeeper {
  /** Loads a lane's cursor and leaves the lane `unchecked`. It goes on trying until the signal aborts. */
  load(lane: LedLane, signal: AbortSignal): Promise<void>;
  /** Saves the cursor soon, with those of other lanes. */
  save(lane: LedLane): void;
  /** Saves at once. Resolves when what is unsaved now is saved, or the signal aborts. */
  saved(signal: AbortSignal): Promise<void>;
}

/**
 * Makes the keeper.
 *
 * @param onRefused is told of lanes that are another process's meanwhile.
 */
export function createCursorKeeper(
  deps: {
    readonly pool: Pool;
    readonly leases: Pick<LaneLeases, 'fence' | 'refused'>;
    readonly log: Log;
  },
  onRefused: (lane: number, epoch: number) => void,
): CursorKeeper {
  const { pool, leases, log } = deps;
  const unsaved = new Map<number, OwnedLane & { readonly cursor: RelayCursor }>();
  let saving: Promise<void> | undefined;
  let pause = new AbortController();
  /** Who waits until what is unsaved is written. */
  let waiting: (() => void)[] = [];
  let failures = 0;

  function refuse(lane: number, epoch: number): void {
    leases.refused(lane, epoch);
    onRefused(lane, epoch);
  }

  async function write(lanes: readonly (OwnedLane & { readonly cursor: RelayCursor })[]) {
    await transaction(pool, async (client) => {
      await client.query('set local synchronous_commit = off');
      const held = await leases.fence(client, lanes);
      const cursors = new Map(
        lanes.filter(({ lane }) => held.has(lane)).map(({ lane, cursor }) => [lane, cursor]),
      );
      if (cursors.size > 0) await saveCursors(client, cursors);
      for (const { lane, epoch } of lanes) if (!held.has(lane)) refuse(lane, epoch);
    });
  }

  async function run(): Promise<void> {
    while (unsaved.size > 0) {
      pause = new AbortController();
      if (waiting.length > 0) pause.abort();
      await sleep(SAVE_EVERY_MS, undefined, { signal: pause.signal }).catch(() => undefined);
      const lanes = [...unsaved.values()];
      const served = waiting;
      unsaved.clear();
      waiting = [];
      try {
        await write(lanes);
        failures = 0;
        for (const resolve of served) resolve();
      } catch (error) {
        failures += 1;
        if (failures === 1) log.warn({ err: error }, 'the cursors of the relay were not saved');
        // Newer ones count more. A cursor that is never saved costs repeats.
        for (const lane of lanes) if (!unsaved.has(lane.lane)) unsaved.set(lane.lane, lane);
        waiting.push(...served);
        await sleep(RETRY_AFTER_MS);
      }
    }
    saving = undefined;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  return {
    async load(lane, signal) {
      for (let attempt = 1; !signal.aborted; attempt += 1) {
        try {
          const held = await transaction(pool, async (client) => {
            const fenced = await leases.fence(client, [lane]);
            if (fenced.has(lane.lane)) lane.cursor = await loadCursor(client, lane.lane);
            return fenced.has(lane.lane);
          });
          if (held) lane.phase = 'unchecked';
          else refuse(lane.lane, lane.epoch);
          return;
        } catch (error) {
          if (attempt === 1) log.warn({ err: error, lane: lane.lane }, 'a cursor was not loaded');
          await sleep(RETRY_AFTER_MS, undefined, { signal }).catch(() => undefined);
        }
      }
    },
    save({ lane, epoch, cursor }) {
      unsaved.set(lane, { lane, epoch, cursor });
      saving ??= run();
    },
    async saved(signal) {
      if (signal.aborted || saving === undefined) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      pause.abort();
      await unlessAborted(promise, signal).catch(() => undefined);
    },
  };
}
