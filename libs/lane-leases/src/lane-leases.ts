import type { Client, Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';
import { fence } from './fence.ts';
import type { OwnedLane } from './fence.ts';
import type { LaneHolder } from './lane-holdings.ts';
import { createLeaseRounds } from './lease-rounds.ts';
import type { LeaseRounds } from './lease-rounds.ts';
import { createLeaseStatements } from './statements.ts';

export interface LaneLeaseOptions {
  readonly schema: string;
  /** How many lanes there are; their rows are made at start. */
  readonly lanes: number;
  /** Random for each start of a process: a process that comes back is somebody else. */
  readonly ownerId: string;
  /** A lease whose counter stands still for so long may be taken over; 10 s by default. */
  readonly leaseMs?: number;
  /** The pause between two renewals; 1 s by default. */
  readonly renewEveryMs?: number;
  /** How long before the lease may be taken over the last send may begin; 2 s by default. */
  readonly marginMs?: number;
  /** How long a revoked lane may stay with its holder before it is taken away; 15 s by default. */
  readonly takeAwayAfterMs?: number;
  /** `sole`: no other process can be alive, so all lanes are taken at once at start. */
  readonly ownership?: 'shared' | 'sole';
}

/** The lanes of a schema, as far as this process owns them. */
export interface LaneLeases {
  readonly ownerId: string;
  /** Begins to share the lanes and tells the holder what it gains and loses. */
  start(holder: LaneHolder): Promise<void>;
  /** The lanes that are ours, with their epochs. */
  held(): ReadonlyMap<number, number>;
  /** The monotonic time until which sends may begin. */
  safeUntilMs(): number;
  /**
   * Gives a lane up, so that another process takes it at once. Everything of the lane must be
   * committed. It does nothing if the lane is not held under this epoch.
   */
  release(lane: number, epoch: number): void;
  /** The fence refused a write: forgets the lane, and asks for it again. */
  refused(lane: number, epoch: number): void;
  /** Says which lanes still hold, and keeps them so until the client's transaction ends. */
  fence(client: Client, owned: readonly OwnedLane[]): Promise<Set<number>>;
  /** Leaves the others: nothing is taken any more, and every lane is revoked. */
  leave(): void;
  /** Gives up what is still held and ends. It never rejects: a lease that stays behind expires. */
  stop(): Promise<void>;
}

const DEFAULT_LEASE_MS = 10_000;
const DEFAULT_RENEW_EVERY_MS = 1_000;
const DEFAULT_MARGIN_MS = 2_000;
const DEFAULT_TAKE_AWAY_AFTER_MS = 15_000;
/** After this share of that time it is said. */
const COMPLAIN_AT = 0.3;

/**
 * Makes the leases of one process.
 *
 * @param deps the pool should have a connection to spare for renewals, or be one of their own;
 *   `monotonicMs` must go on while the process is stopped, as `performance.now` does.
 */
export function createLaneLeases(
  deps: { readonly pool: Pool; readonly log: Log; readonly monotonicMs: () => number },
  options: LaneLeaseOptions,
): LaneLeases {
  const { schema, ownerId } = options;
  const leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
  const renewEveryMs = options.renewEveryMs ?? DEFAULT_RENEW_EVERY_MS;
  const takeAwayAfterMs = options.takeAwayAfterMs ?? DEFAULT_TAKE_AWAY_AFTER_MS;
  const statements = createLeaseStatements(deps.pool, { schema, ownerId, timeoutMs: leaseMs / 2 });
  const nap = createNap();
  let rounds: LeaseRounds | undefined;
  let running: Promise<void> = Promise.resolve();
  const stopping = new AbortController();

  function release(lane: number, epoch: number): void {
    rounds?.release(lane, epoch);
    nap.wake();
  }

  return {
    ownerId,
    async start(holder) {
      await statements.addLanes(options.lanes);
      rounds = createLeaseRounds(
        { statements, holder, monotonicMs: deps.monotonicMs, log: deps.log },
        {
          ownerId,
          leaseMs,
          marginMs: options.marginMs ?? DEFAULT_MARGIN_MS,
          ownership: options.ownership ?? 'shared',
          complainAfterMs: takeAwayAfterMs * COMPLAIN_AT,
          takeAwayAfterMs,
        },
      );
      running = repeatRounds(rounds, { nap, renewEveryMs, log: deps.log, signal: stopping.signal });
    },
    held: () => rounds?.held() ?? new Map(),
    safeUntilMs: () => rounds?.safeUntilMs() ?? -Infinity,
    release,
    refused: release,
    fence: (client, owned) => fence(client, { schema, ownerId }, owned),
    leave() {
      rounds?.leave();
      nap.wake();
    },
    async stop() {
      stopping.abort();
      nap.wake();
      await running;
      if (rounds !== undefined) await resign(rounds, deps.log);
    },
  };
}

/** Makes round after round until the signal aborts, whether or not Postgres answers. */
async function repeatRounds(
  rounds: LeaseRounds,
  options: {
    readonly nap: Nap;
    readonly renewEveryMs: number;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { nap, renewEveryMs, log, signal } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await rounds.round();
      if (failures > 0) log.info({ failures }, 'lane leases are renewed again');
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures === 1) log.warn({ err: error }, 'lane leases could not be renewed');
    }
    if (!signal.aborted) await nap.sleep(renewEveryMs);
  }
}

/** Gives everything up in a last round, once. */
async function resign(rounds: LeaseRounds, log: Log): Promise<void> {
  rounds.leave();
  for (const [lane, epoch] of rounds.held()) rounds.release(lane, epoch);
  try {
    await rounds.round();
  } catch (error) {
    log.warn({ err: error }, 'lane leases could not be given up; they expire by themselves');
  }
}

/** A pause that can be cut short, also before it begins. */
interface Nap {
  sleep(durationMs: number): Promise<void>;
  wake(): void;
}

function createNap(): Nap {
  let woken = false;
  let end: (() => void) | undefined;
  return {
    async sleep(durationMs) {
      if (!woken) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, durationMs);
        end = resolve;
        await promise;
        clearTimeout(timer);
        end = undefined;
      }
      woken = false;
    },
    wake() {
      woken = true;
      end?.();
    },
  };
}
