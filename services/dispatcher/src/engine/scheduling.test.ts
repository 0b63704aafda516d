import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Delivery } from './delivery.ts';
import type { Now } from './effect.ts';
import { eventAt, optionsOf, viewOf } from './engine.fixture.ts';
import type { Endpoint, EndpointView } from './endpoint.ts';
import { createLaneWindow } from './lane-window.ts';
import type { EngineLimits } from './limits.ts';
import { createDelivery } from './matching.ts';
import { nextToSend, noteBegin, noteEnd, TURN_CREDIT } from './scheduling.ts';
import { noteDuration } from './speed.ts';
import { createState, endpointLaneOf, endpointOf } from './state.ts';
import { dequeue, enqueue } from './transitions.ts';

const MAX_BODY_BYTES = 20_000;
/** What a delivery costs: its body, and as much as a small one. */
const costOf = ({ event }: Delivery): number => 1_024 + event.body.length;
/** How far two may be apart who take turns at the same table: see `turns.test.ts`. */
const BOUND = 2 * TURN_CREDIT + 1_024 + MAX_BODY_BYTES;
const BODY = Buffer.alloc(MAX_BODY_BYTES);

/** An endpoint, and how large the bodies of its deliveries are, over and over. */
interface Setup {
  readonly tenant: string;
  readonly bodies: readonly number[];
}

interface Sender {
  readonly endpoint: Endpoint;
  readonly setup: Setup;
  sent: number;
  used: number;
}

/** Endpoints that always have something queued, in an engine that sends one after the other. */
class Table {
  readonly senders: Sender[];
  readonly underWay: Delivery[] = [];
  /** Whoever sends gets something new to send. */
  takesMore = true;
  private readonly now: Now = { wallMs: 0, monotonicMs: 0 };
  private readonly state;
  private readonly window;
  private readonly gone = new Set<Endpoint>();

  constructor(
    setups: readonly Setup[],
    { origin, rateOfEach, ...limits }: Partial<EngineLimits> & TableView = {},
  ) {
    const views = new Map<string, EndpointView>(
      setups.map(({ tenant }, index) => {
        const endpointId = `ep_${index}`;
        const at = origin ?? `http://host-${index}`;
        const rateLimitPerSecond = rateOfEach?.[index];
        const view = viewOf(endpointId, { tenant, url: at, origin: at, rateLimitPerSecond });
        return [endpointId, view];
      }),
    );
    this.state = createState(optionsOf({ limits, view: (endpointId) => views.get(endpointId) }));
    this.window = createLaneWindow({
      lane: 0,
      epoch: 1,
      progress: 0,
      mark: undefined,
      settledAhead: [],
    });
    this.senders = setups.map((setup, index) => {
      return { endpoint: endpointOf(this.state, `ep_${index}`), setup, sent: 0, used: 0 };
    });
  }

  /** Gives a sender as much as it needs for a while. */
  queue(sender: Sender, deliveries = 3): void {
    if (this.gone.has(sender.endpoint)) return;
    while (sender.endpoint.queued < deliveries) {
      const { bodies } = sender.setup;
      const nth = sender.sent + sender.endpoint.queued;
      enqueue(this.state, this.create(sender.endpoint, bodies[nth % bodies.length] ?? 0));
    }
  }

  /** Sends what is next; it is under way until `end`. */
  send(): Sender | undefined {
    const delivery = nextToSend(this.state, this.now);
    if (delivery === undefined) return undefined;
    const { endpoint } = delivery.endpointLane;
    const sender = this.senders.find((each) => each.endpoint === endpoint);
    if (sender === undefined) throw new Error('Somebody else was sent to.');
    delivery.state = 'in_flight';
    noteBegin(this.state, delivery, this.now);
    dequeue(this.state, delivery);
    this.underWay.push(delivery);
    sender.sent += 1;
    sender.used += costOf(delivery);
    if (this.takesMore) this.queue(sender);
    return sender;
  }

  /** Ends one of the sends under way. */
  end(nth = 0): void {
    const [delivery] = this.underWay.splice(nth, 1);
    if (delivery !== undefined) noteEnd(this.state, delivery);
  }

  /** Leaves everything queued of a sender to the database; it gets nothing new. */
  takeBack({ endpoint }: Sender): void {
    for (let delivery = endpoint.queue.shift(); delivery !== undefined;) {
      const next = endpoint.queue.shift();
      delivery.state = 'parked';
      dequeue(this.state, delivery);
      delivery = next;
    }
    this.gone.add(endpoint);
  }

  usedBy(tenant: string): number {
    const own = this.senders.filter(({ setup }) => setup.tenant === tenant);
    return own.reduce((sum, { used }) => sum + used, 0);
  }

  private create(endpoint: Endpoint, bytes: number): Delivery {
    const endpointLane = endpointLaneOf(this.state, endpoint.id, this.window);
    const event = eventAt(1, { body: BODY.subarray(0, bytes) });
    const entry = { position: 1, before: undefined, deliveries: [], open: 0, readAtMs: 0 };
    return createDelivery({ event, endpointLane, entry }, this.now);
  }
}

interface TableView {
  readonly origin?: string;
  /** Of those that have one of their own. */
  readonly rateOfEach?: readonly (number | undefined)[];
}

const setupTenants = fc.constantFrom('one', 'two', 'three');
const setups = fc.record({
  tenant: setupTenants,
  bodies: fc.array(fc.integer({ min: 0, max: MAX_BODY_BYTES }), { minLength: 1, maxLength: 5 }),
});
const tables = fc.array(setups, { minLength: 2, maxLength: 8 });
/** Four of their deliveries, at most, go in one turn. */
const smallTables = fc.array(
  fc.record({ tenant: setupTenants, bodies: fc.constantFrom([0], [1_000], [0, 1_000]) }),
  { minLength: 2, maxLength: 8 },
);

function spread(numbers: readonly number[]): number {
  return Math.max(...numbers) - Math.min(...numbers);
}

describe('endpoints with more queued than can be sent', () => {
  test('get the same as any other of their tenant, and tenants the same as any other', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 1, max: 400 }), (table, sends) => {
        const world = new Table(table);
        for (const sender of world.senders) world.queue(sender);
        const tenants = [...new Set(table.map(({ tenant }) => tenant))];
        for (let send = 0; send < sends; send += 1) {
          expect(world.send()).toBeDefined();
          world.end();
          expect(spread(tenants.map((tenant) => world.usedBy(tenant)))).toBeLessThanOrEqual(BOUND);
          for (const tenant of tenants) {
            const own = world.senders.filter(({ setup }) => setup.tenant === tenant);
            expect(spread(own.map(({ used }) => used))).toBeLessThanOrEqual(BOUND);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test('take turns with those of other tenants, however many these have', () => {
    const many = Array.from({ length: 50 }, () => ({ tenant: 'many', bodies: [3_072] }));
    const world = new Table([{ tenant: 'one', bodies: [3_072] }, ...many]);
    for (const sender of world.senders) world.queue(sender);
    for (let send = 0; send < 1_000; send += 1) {
      world.send();
      world.end();
    }
    expect(world.senders[0]?.sent).toBe(500);
    expect(new Set(world.senders.slice(1).map(({ sent }) => sent))).toEqual(new Set([10]));
  });

  test('are never left out while answers come in any order', () => {
    const answers = fc.array(fc.nat({ max: 9 }), { minLength: 300, maxLength: 600 });
    fc.assert(
      fc.property(smallTables, answers, fc.integer({ min: 1, max: 6 }), (table, ends, most) => {
        const world = new Table(table, { maxInFlight: most });
        for (const sender of world.senders) world.queue(sender);
        // Sends to others since the last one to each.
        const passedOver = new Map(world.senders.map((sender) => [sender, 0]));
        for (const nth of ends) {
          while (world.underWay.length < most) {
            const sentTo = world.send();
            if (sentTo === undefined) break;
            for (const [sender, sends] of passedOver) {
              passedOver.set(sender, sender === sentTo ? 0 : sends + 1);
            }
          }
          expect(world.underWay.length).toBeGreaterThan(0);
          world.end(nth % world.underWay.length);
          expect(Math.max(...passedOver.values())).toBeLessThanOrEqual(16 * table.length);
        }
      }),
    );
  });

  test('have no more under way than their share, once half of what may be is', () => {
    const world = new Table(
      [
        { tenant: 'one', bodies: [0] },
        ...Array.from({ length: 9 }, () => ({ tenant: 'two', bodies: [0] })),
      ],
      { maxInFlight: 36 },
    );
    const [only] = world.senders;
    if (only === undefined) return;
    for (const sender of world.senders) world.queue(sender);
    while (world.underWay.length < 36 && world.send() !== undefined);
    // The limit of an endpoint of which nothing is known is eight; eighteen for each tenant.
    expect(only.endpoint.inFlight).toBe(8);
    for (const { endpoint } of world.senders.slice(1)) {
      expect(endpoint.inFlight).toBeLessThanOrEqual(4);
    }
  });

  test('of a tenant that was alone leave room for those of another one that comes', () => {
    const alone = Array.from({ length: 20 }, () => ({ tenant: 'one', bodies: [0] }));
    const world = new Table([...alone, { tenant: 'two', bodies: [0] }], { maxInFlight: 64 });
    const coming = world.senders.at(-1);
    if (coming === undefined) return;
    for (const { endpoint } of world.senders.slice(0, -1)) noteDuration(endpoint, 1);
    for (const sender of world.senders.slice(0, -1)) world.queue(sender);
    while (world.send() !== undefined);
    // None of what is under way is ever answered.
    expect(world.underWay).toHaveLength(56);
    world.queue(coming);
    while (world.send() !== undefined);
    expect(coming.endpoint.inFlight).toBe(8);
  });

  test.each([
    ['that is alone', 0],
    ['beside one that has little to send', 1],
  ])('all get their turns if they are slow and too many in a tenant %s', (_, besides) => {
    const slow = Array.from({ length: 20 }, () => ({ tenant: 'one', bodies: [0] }));
    const beside = Array.from({ length: besides }, () => ({ tenant: 'two', bodies: [0] }));
    const world = new Table([...beside, ...slow], { maxInFlight: 16 });
    const own = world.senders.slice(besides);
    for (const { endpoint } of own) noteDuration(endpoint, 10_000);
    for (const sender of world.senders.slice(0, besides)) world.queue(sender, 1);
    world.takesMore = false;
    for (let sends = 0; sends < besides; sends += 1) world.send();
    world.takesMore = true;
    for (const sender of own) world.queue(sender);
    for (let answers = 0; answers < 400; answers += 1) {
      while (world.send() !== undefined);
      world.end(besides);
    }
    expect(Math.min(...own.map(({ sent }) => sent))).toBeGreaterThan(10);
  });

  test('go on with each answer when they have as much under way as they take', () => {
    const world = new Table([{ tenant: 'one', bodies: [0] }]);
    const [only] = world.senders;
    if (only === undefined) return;
    world.queue(only, 20);
    world.takesMore = false;
    while (world.send() !== undefined);
    expect(only.sent).toBe(8);
    for (let answers = 1; answers <= 12; answers += 1) {
      world.end();
      expect(world.send()).toBe(only);
      expect(world.send()).toBeUndefined();
    }
  });

  test('have no more under way at one origin than may be, and share that', () => {
    fc.assert(
      fc.property(tables, fc.integer({ min: 1, max: 5 }), (table, maxInFlightPerOrigin) => {
        const world = new Table(table, { maxInFlightPerOrigin, origin: 'http://host' });
        for (const sender of world.senders) world.queue(sender);
        for (let send = 0; send < 200; send += 1) {
          while (world.send() !== undefined);
          expect(world.underWay).toHaveLength(maxInFlightPerOrigin);
          world.end();
        }
        expect(Math.min(...world.senders.map(({ sent }) => sent))).toBeGreaterThan(0);
      }),
      { numRuns: 30 },
    );
  });

  test('are called as long as there is room at their origin, whoever of them goes', () => {
    // Which send ends, and whose deliveries are taken back before that.
    const happening = fc.record({ ends: fc.nat({ max: 9 }), goes: fc.nat({ max: 15 }) });
    const happenings = fc.array(happening, { maxLength: 100 });
    fc.assert(
      fc.property(tables, fc.integer({ min: 1, max: 3 }), happenings, (table, most, history) => {
        const world = new Table(table, { maxInFlightPerOrigin: most, origin: 'http://host' });
        for (const sender of world.senders) world.queue(sender);
        for (const { ends, goes } of history) {
          while (world.send() !== undefined);
          const waiting = world.senders.filter(({ endpoint }) => endpoint.queued > 0);
          expect(world.underWay.length).toBe(waiting.length === 0 ? world.underWay.length : most);
          const going = world.senders[goes];
          if (going !== undefined) world.takeBack(going);
          if (world.underWay.length > 0) world.end(ends % world.underWay.length);
        }
      }),
    );
  });

  test('wait for their rate without holding anybody up', () => {
    const setup = { tenant: 'one', bodies: [0] };
    const world = new Table([setup, setup], { rateOfEach: [10, 10] });
    for (const sender of world.senders) world.queue(sender);
    while (world.send() !== undefined) world.end();
    expect(world.senders.map(({ sent }) => sent)).toEqual([1, 1]);
  });

  test('have the rate of all endpoints, unless they have one of their own', () => {
    const setup = { tenant: 'one', bodies: [0] };
    const rateOfEach = [undefined, 100];
    const world = new Table([setup, setup], { rateLimitPerSecond: 10, rateOfEach });
    for (const sender of world.senders) world.queue(sender, 20);
    for (let sends = 0; sends < 40 && world.send() !== undefined; sends += 1) world.end();
    // As many as may run ahead of the rate: a twentieth of a second's.
    expect(world.senders.map(({ sent }) => sent)).toEqual([1, 6]);
  });

  test('come back with their debts when they had nothing to send for a while', () => {
    // Who has something new to send before the next send.
    const queued = fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(tables, queued, (table, news) => {
        const world = new Table(table);
        for (const nth of news) {
          const sender = world.senders[nth % world.senders.length];
          if (sender !== undefined) world.queue(sender);
          const sentTo = world.send();
          expect(sentTo).toBeDefined();
          expect(sentTo?.endpoint.credit).toBeGreaterThan(-1_024 - MAX_BODY_BYTES);
          world.end();
        }
      }),
    );
  });
});
