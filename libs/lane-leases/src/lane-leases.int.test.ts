import { randomUUID } from 'node:crypto';
import { createPool, migrate } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLaneLeases } from './lane-leases.ts';
import type { LaneLeaseOptions, LaneLeases } from './lane-leases.ts';
import { laneLeaseMigrations } from './migrations.ts';

const schema = 'leases';
const lanes = 16;
const leaseMs = 1_000;
const log = createLog({ level: 'silent', service: 'test' });
const database = useTestDatabase();
const processes: TestProcess[] = [];

beforeAll(async () => {
  const pool = connect();
  await migrate(pool, { schema, migrations: laneLeaseMigrations(schema) });
  await pool.end();
});

beforeEach(async () => {
  const pool = connect();
  await pool.query(`truncate ${schema}.lane_lease, ${schema}.lane_member`);
  await pool.end();
});

afterEach(async () => {
  for (const each of processes.splice(0)) await each.end();
});

describe('lane leases', () => {
  it('give one process every lane', async () => {
    const only = await start();
    await expect.poll(() => only.lanes().length).toBe(lanes);
  });

  it('share the lanes evenly when processes join, within seconds', async () => {
    const first = await start();
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start();
    await expect.poll(() => sizes(first, second), patience).toEqual([8, 8]);
    const third = await start();
    await expect.poll(() => sizes(first, second, third), patience).toEqual([5, 5, 6]);
    expect(allLanes(first, second, third)).toEqual(range(lanes));
  });

  it('pass the lanes on at once when a process leaves', async () => {
    const first = await start({ leaseMs: 60_000 });
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start({ leaseMs: 60_000 });
    await expect.poll(() => sizes(first, second), patience).toEqual([8, 8]);
    await first.leases.stop();
    await expect.poll(() => second.lanes().length, patience).toBe(lanes);
  });

  it('revoke everything of a process that is leaving, and give it nothing more', async () => {
    const first = await start({ leaseMs: 60_000 });
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start({ leaseMs: 60_000 });
    first.leases.leave();
    await expect.poll(() => sizes(first, second), patience).toEqual([0, lanes]);
  });

  it('pass the lanes of a killed process on after the lease time, and not before', async () => {
    const first = await start();
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start();
    await expect.poll(() => sizes(first, second), patience).toEqual([8, 8]);
    const killedAtMs = performance.now();
    await first.kill();
    await expect.poll(() => second.lanes().length, patience).toBe(lanes);
    expect(performance.now() - killedAtMs).toBeGreaterThan(leaseMs - renewEveryMs * 2);
    expect(first.leases.safeUntilMs()).toBeLessThan(performance.now());
  });

  it('keep a lane with its holder until the holder releases it', async () => {
    const first = await start({ holder: 'keeps' });
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start();
    await expect.poll(() => first.revoked.size, patience).toBe(8);
    expect(sizes(first, second)).toEqual([0, lanes]);
    first.giveUp();
    await expect.poll(() => sizes(first, second), patience).toEqual([8, 8]);
  });

  it('take a revoked lane away from a holder that never releases it', async () => {
    const first = await start({ holder: 'keeps', takeAwayAfterMs: 500 });
    await expect.poll(() => first.lanes().length).toBe(lanes);
    const second = await start();
    await expect.poll(() => sizes(first, second), patience).toEqual([8, 8]);
    expect(allLanes(first, second)).toEqual(range(lanes));
    // It is too late for that, and must not harm the new owner.
    first.giveUp();
    await new Promise((resolve) => setTimeout(resolve, renewEveryMs * 4));
    expect(second.leases.held().size).toBe(8);
  });

  it('give the sole owner all lanes at once, whatever the old owner left behind', async () => {
    const old = await start({ leaseMs: 60_000, ownership: 'sole' });
    await expect.poll(() => old.lanes().length).toBe(lanes);
    await old.kill();
    const next = await start({ leaseMs: 60_000, ownership: 'sole' });
    await expect.poll(() => next.lanes().length).toBe(lanes);
    expect([...next.leases.held().values()]).toEqual(range(lanes).map(() => 2));
  });

  it('let the sole owner wait for a transaction that the old owner left open', async () => {
    const old = await start({ ownership: 'sole' });
    await expect.poll(() => old.lanes().length).toBe(lanes);
    const pool = connect();
    const client = await pool.connect();
    await client.query('begin');
    expect(await old.leases.fence(client, [{ lane: 3, epoch: 1 }])).toEqual(new Set([3]));
    await old.kill();
    const next = await start({ ownership: 'sole' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(next.lanes()).toEqual([]);
    await client.query('commit');
    client.release();
    await pool.end();
    await expect.poll(() => next.lanes().length, patience).toBe(lanes);
  });

  it('gain a lane under a new epoch after a write to it was refused', async () => {
    const only = await start();
    await expect.poll(() => only.lanes().length).toBe(lanes);
    only.leases.refused(3, 1);
    expect(only.leases.held().has(3)).toBe(false);
    await expect.poll(() => only.leases.held().get(3), patience).toBe(2);
  });

  it('ignore the release of a lane under an epoch that is over', async () => {
    const only = await start();
    await expect.poll(() => only.lanes().length).toBe(lanes);
    only.leases.release(3, 0);
    expect(only.leases.held().get(3)).toBe(1);
  });
});

const renewEveryMs = 50;
const patience = { timeout: 8_000 };

interface TestProcess {
  readonly leases: LaneLeases;
  /** The lanes that it was told to hold, in order. */
  lanes(): number[];
  /** The lanes that it was told to give up and keeps. */
  readonly revoked: ReadonlyMap<number, number>;
  /** Releases what was revoked. */
  giveUp(): void;
  /** Cuts it off from the database without a word. */
  kill(): Promise<void>;
  end(): Promise<void>;
}

interface TestProcessOptions extends Partial<LaneLeaseOptions> {
  readonly holder?: 'releases' | 'keeps';
}

async function start(options: TestProcessOptions = {}): Promise<TestProcess> {
  const { holder = 'releases', ...leaseOptions } = options;
  const pool = connect();
  const known = new Map<number, number>();
  const revoked = new Map<number, number>();
  const leases = createLaneLeases(
    { pool, log, monotonicMs: () => performance.now() },
    { schema, lanes, ownerId: randomUUID(), leaseMs, renewEveryMs, marginMs: 200, ...leaseOptions },
  );
  const giveUp = () => {
    for (const [lane, epoch] of revoked) {
      known.delete(lane);
      leases.release(lane, epoch);
    }
    revoked.clear();
  };
  await leases.start({
    gained: (lane, epoch) => known.set(lane, epoch),
    revoked(lane, epoch) {
      revoked.set(lane, epoch);
      if (holder === 'releases') giveUp();
    },
    lost: (lane) => known.delete(lane),
  });
  let killed: Promise<void> | undefined;
  const kill = () => (killed ??= pool.end());
  const each: TestProcess = {
    leases,
    lanes: () => [...known.keys()].toSorted((a, b) => a - b),
    revoked,
    giveUp,
    kill,
    async end() {
      await leases.stop();
      await kill();
    },
  };
  processes.push(each);
  return each;
}

function connect() {
  return createPool({
    connectionString: database.connectionString,
    applicationName: 'lane-leases-test',
    maxConnections: 2,
    log,
  });
}

function sizes(...all: readonly TestProcess[]): number[] {
  return all.map((each) => each.lanes().length).toSorted((a, b) => a - b);
}

function allLanes(...all: readonly TestProcess[]): number[] {
  return all.flatMap((each) => each.lanes()).toSorted((a, b) => a - b);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
