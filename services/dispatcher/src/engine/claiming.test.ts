import { describe, expect, test } from 'vitest';

import type { Delivery } from './delivery.ts';
import type { Claim, ClaimResult, Effect, Now } from './effect.ts';
import type { EndpointView } from './endpoint.ts';
import { eventAt, gainedLane, optionsOf, viewOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';
import { DEFAULT_LIMITS, type EngineLimits } from './limits.ts';
import type { Recording } from './recording.ts';

const STEP_MS = 5;
const BODY = Buffer.alloc(300);

/** Endpoints with rows in lane 0, and how they take them. */
interface Waiting {
  readonly tenant: string;
  readonly endpoints: number;
  /** Of each endpoint. */
  readonly rows: number;
  readonly answerMs?: number;
  readonly rateLimitPerSecond?: number;
  readonly body?: Buffer;
}

interface Backlogged extends Waiting {
  readonly view: EndpointView;
  left: number;
  sent: number;
}

interface UnderWay {
  readonly atMs: number;
  readonly beganAtMs: number;
  readonly delivery: Delivery;
}

/** An engine that owns a lane in which rows wait, at a database that answers with each step. */
class Backlog {
  readonly engine: Engine;
  readonly endpoints: Backlogged[];
  /** How long the lane was not asked for at most. */
  longestUnreadMs = 0;
  private nowMs = 0;
  private readAtMs = 0;
  private readonly answers: UnderWay[] = [];

  constructor(groups: readonly Waiting[], limits: Partial<EngineLimits> = {}) {
    this.endpoints = groups.flatMap((group, nth) =>
      Array.from({ length: group.endpoints }, (_, index) => {
        const { tenant, rateLimitPerSecond } = group;
        const endpointId = `ep_${nth}_${index}`;
        const origin = `http://${endpointId}`;
        const view = viewOf(endpointId, { tenant, url: origin, origin, rateLimitPerSecond });
        return { ...group, view, left: group.rows, sent: 0 };
      }),
    );
    const byId = new Map(this.endpoints.map((endpoint) => [endpoint.view.endpointId, endpoint]));
    this.find = (endpointId) => byId.get(endpointId);
    this.engine = new Engine(
      optionsOf({
        retryScheduleMs: [60_000],
        deliveryTimeoutMs: 15_000,
        retentionMs: 86_400_000,
        limits,
        view: (endpointId) => byId.get(endpointId)?.view,
      }),
    );
    this.engine.leaseExtended(Infinity, this.now());
    this.engine.laneGained(
      gainedLane(0, {
        progress: 1_000_000,
        parked: this.endpoints.map(({ view: { endpointId }, rows }) => {
          return { endpointId, rows, nextDueAtMs: 0 };
        }),
      }),
      this.now(),
    );
  }

  /** Lets time pass. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) this.step();
  }

  sentOf(tenant: string): number {
    const own = this.endpoints.filter((endpoint) => endpoint.tenant === tenant);
    return own.reduce((sum, { sent }) => sum + sent, 0);
  }

  private readonly find: (endpointId: string) => Backlogged | undefined;

  private now(): Now {
    return { wallMs: 1_000_000 + this.nowMs, monotonicMs: this.nowMs };
  }

  private step(): void {
    this.nowMs += STEP_MS;
    const ended = this.answers.filter(({ atMs }) => atMs <= this.nowMs);
    for (const answer of ended) this.answers.splice(this.answers.indexOf(answer), 1);
    for (const { atMs, beganAtMs, delivery } of ended) {
      const outcome = { kind: 'delivered', status: 204, durationMs: atMs - beganAtMs } as const;
      this.engine.answered({ delivery, outcome }, this.now());
    }
    this.engine.tick(this.now());
    for (const effect of this.engine.takeEffects()) this.carryOut(effect);
    if (this.engine.readRequests().length > 0) this.readAtMs = this.nowMs;
    this.longestUnreadMs = Math.max(this.longestUnreadMs, this.nowMs - this.readAtMs);
  }

  private carryOut(effect: Effect): void {
    if (effect.kind === 'send') this.send(effect.delivery);
    else if (effect.kind === 'claim') {
      const results = effect.claims.map((claim) => this.claim(claim));
      this.engine.claimed(results, this.now());
    } else if (effect.kind === 'record') this.record(effect.recording);
  }

  private send(delivery: Delivery): void {
    const endpoint = this.find(delivery.endpointLane.endpoint.id);
    if (endpoint === undefined) throw new Error('Somebody else was sent to.');
    endpoint.sent += 1;
    const atMs = this.nowMs + (endpoint.answerMs ?? STEP_MS);
    this.answers.push({ atMs, beganAtMs: this.nowMs, delivery });
  }

  private record(recording: Recording): void {
    const results = recording.lanes.map(({ lane }) => {
      return {
        kind: 'recorded' as const,
        lane,
        revived: [],
        cancelled: [],
        expired: [],
        listed: [],
      };
    });
    this.engine.recorded(recording, results, this.now());
  }

  private claim(claim: Claim): ClaimResult {
    const endpoint = this.find(claim.endpointLane.endpoint.id);
    if (endpoint === undefined) throw new Error('Rows of somebody else were asked for.');
    const rows = Array.from({ length: Math.min(claim.limit, endpoint.left) }, (_, nth) => {
      const position = endpoint.left - nth;
      const { tenant, body = BODY } = endpoint;
      const event = eventAt(position, { tenant, body });
      return { event, follows: false, attempt: 0, inFlight: false, ordered: true };
    });
    endpoint.left -= rows.length;
    return { claim, rows, nextDueAtMs: undefined };
  }
}

const LIMITED: Waiting = { tenant: 'slow', endpoints: 16, rows: 500, rateLimitPerSecond: 1 };
const HANGING: Waiting = { tenant: 'slow', endpoints: 16, rows: 500, answerMs: 10_000 };
const QUICK: Waiting = { tenant: 'quick', endpoints: 1, rows: 500 };

describe('rows of endpoints that are slow', () => {
  test.each([
    ['that have a rate limit', LIMITED],
    ['that answer late', HANGING],
    ['that are many', { ...LIMITED, endpoints: 300 }],
    ['that are many, and have some rows each', { ...LIMITED, endpoints: 1_000, rows: 3 }],
  ])('%s keep nobody from reading on', (_, waiting) => {
    const world = new Backlog([waiting]);
    world.run(20_000);
    expect(world.sentOf('slow')).toBeGreaterThan(100);
    expect(world.longestUnreadMs).toBeLessThan(100);
  });

  test.each([
    ['another tenant', 'quick', 5_000],
    ['the same tenant', 'slow', 1_000],
  ])('keep no rows of %s from being sent', (_, tenant, endpoints) => {
    const many = { ...LIMITED, endpoints };
    const world = new Backlog([many, { ...QUICK, tenant }]);
    world.run(2_000);
    expect(world.endpoints.at(-1)?.sent).toBe(QUICK.rows);
  });

  test.each([
    ['that answer late', { ...HANGING, endpoints: 1_250 }],
    [
      'that answer late and are more than may be called at a time',
      { ...HANGING, endpoints: 3_000 },
    ],
    ['that have a rate limit', { ...LIMITED, endpoints: 3_000 }],
  ])('%s do not slow down a fast endpoint of their tenant', (_, many) => {
    const fast = { tenant: 'slow', endpoints: 1, rows: 100_000, answerMs: 50 };
    const alone = new Backlog([fast]);
    const beside = new Backlog([many, fast]);
    const sent = [alone, beside].map((world) => {
      // Each has answered once by then, so that it is known how fast it is.
      world.run(45_000);
      const before = world.endpoints.at(-1)?.sent ?? 0;
      world.run(5_000);
      return (world.endpoints.at(-1)?.sent ?? 0) - before;
    });
    expect(sent[1]).toBeGreaterThan((sent[0] ?? 0) * 0.9);
  });

  test.each([
    ['that have a rate limit', LIMITED],
    ['that answer late', HANGING],
  ])('%s are sent while fast ones of many tenants wait', (_, many) => {
    const slow = { ...many, endpoints: 1 };
    const others = Array.from({ length: 8 }, (__, nth) => ({
      tenant: `quick-${nth}`,
      endpoints: 20,
      rows: 10_000,
      answerMs: 100,
    }));
    const worlds = [new Backlog([slow]), new Backlog([...others, slow], { maxClaimed: 1_000 })];
    const [alone, beside] = worlds.map((world) => {
      world.run(16_000);
      return world.sentOf('slow');
    });
    expect(beside).toBeGreaterThan((alone ?? 0) * 0.9);
  });

  test('are taken up a few at a time, and those of fast ones as fast as they go', () => {
    const world = new Backlog([
      { ...LIMITED, endpoints: 1 },
      { ...QUICK, rows: 10_000 },
    ]);
    world.run(1_000);
    const [slow, quick] = world.endpoints;
    expect((slow?.rows ?? 0) - (slow?.left ?? 0)).toBeLessThan(10);
    expect(quick?.sent).toBeGreaterThan(5_000);
  });

  test('have no more memory than they may, also with large bodies', () => {
    const body = Buffer.alloc(8_192);
    const tenants = Array.from({ length: 20 }, (_, nth) => ({
      ...LIMITED,
      tenant: `slow-${nth}`,
      endpoints: 100,
      body,
    }));
    const world = new Backlog(tenants);
    world.run(30_000);
    const { claimedBytes } = world.engine.census({ wallMs: 0, monotonicMs: 30_000 });
    expect(claimedBytes).toBeGreaterThan(DEFAULT_LIMITS.maxClaimedBytes / 2);
    expect(claimedBytes).toBeLessThan(
      DEFAULT_LIMITS.maxClaimedBytes + DEFAULT_LIMITS.maxClaimedRows * body.length,
    );
    for (const { sent } of world.endpoints) expect(sent).toBeGreaterThan(0);
  });
});

test('a backlog of ten thousand endpoints is drained as fast as they take it', () => {
  const world = new Backlog([{ tenant: 'one', endpoints: 10_000, rows: 10 }]);
  world.run(1_000);
  // As many as one in flight at a time can be answered, give or take.
  expect(world.sentOf('one')).toBeGreaterThan(50_000);
});

function at(ms: number): Now {
  return { wallMs: ms, monotonicMs: ms };
}

test('rows are claimed only as long as what became of others can be recorded', () => {
  const limits = { maxUnrecorded: 1 };
  const engine = new Engine(optionsOf({ view: viewOf, limits }));
  engine.leaseExtended(Infinity, at(0));
  const parked = [{ endpointId: 'ep_0', rows: 1, nextDueAtMs: 1 }];
  engine.laneGained(gainedLane(0, { progress: 5, parked }), at(0));
  engine.eventsRead(
    [{ lane: 0, epoch: 1, events: [{ event: eventAt(6), endpoints: [viewOf('ep_1')] }] }],
    at(0),
  );
  const [send] = engine.takeEffects().filter((effect) => effect.kind === 'send');
  if (send === undefined) throw new Error('nothing was sent');
  const outcome = { kind: 'delivered', status: 200, durationMs: 1 } as const;
  engine.answered({ delivery: send.delivery, outcome }, at(1));
  engine.tick(at(2));
  expect(engine.takeEffects()).toEqual([]);
  engine.tick(at(100));
  engine.tick(at(101));
  expect(engine.takeEffects().map(({ kind }) => kind)).toEqual(['record', 'claim']);
});
