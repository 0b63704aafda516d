import { createPool, migrate } from '@billhook/postgres';
import type { Client, Pool } from '@billhook/postgres';
import { createLog } from '@billhook/runtime';
import { useTestDatabase } from '@billhook/testing';
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fence } from './fence.ts';
import { createLeaseRounds } from './lease-rounds.ts';
import type { LeaseRounds } from './lease-rounds.ts';
import { laneLeaseMigrations } from './migrations.ts';
import { createLeaseStatements } from './statements.ts';

const schema = 'fencing';
const lanes = 4;
const leaseMs = 1_000;
const marginMs = 200;
const log = createLog({ level: 'silent', service: 'test' });
const database = useTestDatabase();
let pool: Pool;
let nowMs = 0;

beforeAll(async () => {
  pool = createPool({
    connectionString: database.connectionString,
    applicationName: 'fencing-test',
    maxConnections: 8,
    log,
  });
  await migrate(pool, { schema, migrations: laneLeaseMigrations(schema) });
  await pool.query(`create table ${schema}.written (
    number bigserial primary key, lane integer, epoch bigint, owner text)`);
});

beforeEach(reset);

afterAll(() => pool.end());

describe('the fence', () => {
  it('lets renewals pass and makes take-overs wait while a transaction is open', async () => {
    const owner = enter('owner');
    await owner.rounds.round();
    const write = await beginWrite(owner);
    await owner.rounds.round();
    expect(owner.rounds.held().size).toBe(lanes);

    const other = enter('other');
    await other.rounds.round();
    nowMs += leaseMs;
    await other.rounds.round();
    expect(other.rounds.held().size).toBe(0);
    await write.finish();
    await other.rounds.round();
    expect(other.rounds.held().size).toBe(lanes);
  });

  it('refuses one who wakes from a freeze, and the time for sends is over', async () => {
    const zombie = enter('zombie');
    await zombie.rounds.round();
    const other = enter('other');
    await other.rounds.round();
    nowMs += leaseMs;
    await other.rounds.round();

    expect(zombie.rounds.held().size).toBe(lanes);
    expect(zombie.rounds.safeUntilMs()).toBeLessThan(nowMs);
    const write = await beginWrite(zombie);
    expect(write.allowed).toEqual(new Set());
    await write.finish();
    await zombie.rounds.round();
    expect(zombie.lost).toEqual([0, 1, 2, 3]);
  });

  it('refuses an owner under an epoch that is over', async () => {
    const owner = enter('owner');
    await owner.rounds.round();
    owner.rounds.release(2, 1);
    await owner.rounds.round();
    await owner.rounds.round();
    const client = await pool.connect();
    await client.query('begin');
    const owned = [
      { lane: 1, epoch: 1 },
      { lane: 2, epoch: 1 },
    ];
    expect(await fence(client, { schema, ownerId: 'owner' }, owned)).toEqual(new Set([1]));
    await client.query('commit');
    client.release();
  });

  it('counts the time for sends from when the confirmed renewal was sent', async () => {
    const owner = enter('owner', () => (nowMs += 100));
    await owner.rounds.round();
    const sentAtMs = owner.rounds.safeUntilMs() - leaseMs + marginMs;
    expect(sentAtMs).toBe(100);
  });

  it('never lets two owners write to a lane at once, nor an epoch after a later one', async () => {
    await fc.assert(
      fc
        .asyncProperty(arbitrarySteps, async (steps) => {
          const group = ['a', 'b', 'c'].map((name) => enter(name));
          for (const [index, step] of steps.entries()) await take(step, group, `n${index}`);
          for (const each of group) await each.write?.finish();
          await expectFenced();
          await expectShared(group);
        })
        .beforeEach(reset),
      { numRuns: 60 },
    );
  }, 120_000);
});

/** A process whose rounds a test makes by hand; without a round it is frozen. */
interface Member {
  readonly name: string;
  readonly rounds: LeaseRounds;
  readonly revoked: Map<number, number>;
  readonly lost: number[];
  write?: OpenWrite | undefined;
}

interface OpenWrite {
  readonly allowed: ReadonlySet<number>;
  finish(): Promise<void>;
}

type Step =
  | { readonly kind: 'round' | 'begin' | 'finish' | 'release' | 'restart'; readonly who: number }
  | { readonly kind: 'pass'; readonly durationMs: number };

const who = fc.nat({ max: 2 });
const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('round' as const), who }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('begin' as const), who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      durationMs: fc.integer({ min: 300, max: 1_200 }),
    }),
  },
);

const arbitrarySteps = fc.array(arbitraryStep, { minLength: 20, maxLength: 80, size: 'max' });

async function take(step: Step, group: Member[], freshName: string): Promise<void> {
  if (step.kind === 'pass') {
    nowMs += step.durationMs;
    return;
  }
  const member = group[step.who];
  if (member === undefined) return;
  switch (step.kind) {
    case 'round': {
      const before = new Set(member.rounds.held().keys());
      await member.rounds.round();
      expectNoSenderBeside(member, group, before);
      break;
    }
    case 'begin':
      member.write ??= await beginWrite(member);
      break;
    case 'finish':
      await member.write?.finish();
      member.write = undefined;
      break;
    case 'release':
      for (const [lane, epoch] of member.revoked) member.rounds.release(lane, epoch);
      member.revoked.clear();
      break;
    case 'restart':
      await member.write?.finish();
      group[step.who] = enter(freshName);
      break;
  }
}

/** Whoever else believes to hold a lane that was just gained must have stopped to send for it. */
function expectNoSenderBeside(
  member: Member,
  group: readonly Member[],
  before: ReadonlySet<number>,
): void {
  const gained = [...member.rounds.held().keys()].filter((lane) => !before.has(lane));
  for (const other of group) {
    if (other === member) continue;
    for (const lane of gained) {
      if (other.rounds.held().has(lane)) expect(other.rounds.safeUntilMs()).toBeLessThan(nowMs);
    }
  }
}

async function expectFenced(): Promise<void> {
  const { rows } = await pool.query<{ lane: number; epoch: bigint; owner: string }>(
    `select lane, epoch, owner from ${schema}.written order by number`,
  );
  const latest = new Map<number, { epoch: number; owner: string }>();
  for (const row of rows) {
    const before = latest.get(row.lane);
    const epoch = Number(row.epoch);
    expect(epoch).toBeGreaterThanOrEqual(before?.epoch ?? 0);
    if (epoch === before?.epoch) expect(row.owner).toBe(before.owner);
    latest.set(row.lane, { epoch, owner: row.owner });
  }
}

/** Once all go on undisturbed, every lane has one holder, and nobody has more than its share. */
async function expectShared(group: readonly Member[]): Promise<void> {
  for (let time = 0; time < 12; time += 1) {
    nowMs += leaseMs / 4;
    for (const member of group) {
      await member.rounds.round();
      for (const [lane, epoch] of member.revoked) member.rounds.release(lane, epoch);
      member.revoked.clear();
    }
  }
  const held = group.flatMap((member) => [...member.rounds.held().keys()]);
  expect(held.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  expect(Math.max(...group.map((member) => member.rounds.held().size))).toBe(2);
}

function enter(name: string, monotonicMs: () => number = () => nowMs): Member {
  const revoked = new Map<number, number>();
  const lost: number[] = [];
  const statements = createLeaseStatements(pool, { schema, ownerId: name, timeoutMs: 5_000 });
  const holder = {
    gained: () => {},
    revoked: (lane: number, epoch: number) => void revoked.set(lane, epoch),
    lost: (lane: number) => void lost.push(lane),
  };
  const rounds = createLeaseRounds(
    { statements, holder, monotonicMs, log },
    {
      ownerId: name,
      leaseMs,
      marginMs,
      ownership: 'shared',
      complainAfterMs: Infinity,
      takeAwayAfterMs: Infinity,
    },
  );
  return { name, rounds, revoked, lost };
}

/** Fences all that the member believes to hold, and leaves the transaction open. */
async function beginWrite(member: Member): Promise<OpenWrite> {
  const owned = [...member.rounds.held()].map(([lane, epoch]) => ({ lane, epoch }));
  const client: Client = await pool.connect();
  await client.query('begin');
  const allowed = await fence(client, { schema, ownerId: member.name }, owned);
  return {
    allowed,
    async finish() {
      for (const { lane, epoch } of owned.filter((each) => allowed.has(each.lane))) {
        await client.query(
          `insert into ${schema}.written (lane, epoch, owner) values ($1, $2, $3)`,
          [lane, epoch, member.name],
        );
      }
      await client.query('commit');
      client.release();
    },
  };
}

async function reset(): Promise<void> {
  nowMs = 0;
  await pool.query(`truncate ${schema}.lane_lease, ${schema}.lane_member, ${schema}.written`);
  await createLeaseStatements(pool, { schema, ownerId: '', timeoutMs: 5_000 }).addLanes(lanes);
}
