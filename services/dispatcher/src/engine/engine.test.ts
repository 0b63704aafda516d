import { describe, expect, test } from 'vitest';

import type { LogEvent } from './delivery.ts';
import { createRandom } from './simulation/random.ts';
import { Simulation } from './simulation/simulation.ts';
import { CALM, type Behaviour, type World } from './simulation/world.ts';

const ROUGH: Behaviour = {
  ...CALM,
  failureRate: 0.3,
  hangRate: 0.05,
  slowRate: 0.05,
  refusedRecordingRate: 0.02,
  slowStoreRate: 0.01,
};
const ENDPOINTS = ['ep_1', 'ep_2', 'ep_3'];
const ALONE: World = { lanes: 2, processes: 1, behaviour: ROUGH };
const TOGETHER: World = { lanes: 4, processes: 2, behaviour: ROUGH };
const SEEDS = Array.from({ length: 8 }, (_, seed) => seed);
/** Long enough for the last retry of the schedule. */
const CALM_DOWN_MS = 120_000;

/** What only some events match: those with an odd sequence. */
const ODD_EVENTS = ['invoice_created', 'invoice_updated'];
const isOdd = ({ sequence }: LogEvent): boolean => sequence % 2 === 1;

function start(seed: number, setting: World): Simulation {
  const world = new Simulation(seed, setting);
  for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, 'active');
  return world;
}

/** Appends events of a few invoices over a while, with whatever happens in between. */
function live(world: Simulation, seed: number, happens: (random: () => number) => void): number {
  const random = createRandom(seed);
  const sequences = new Map<number, number>();
  let events = 0;
  for (let round = 0; round < 60; round += 1) {
    for (let count = random() * 12; count > 0; count -= 1) {
      const invoice = Math.floor(random() * 20);
      const sequence = (sequences.get(invoice) ?? 0) + 1;
      sequences.set(invoice, sequence);
      const lane = invoice % world.log.lanes.length;
      world.append({ lane, invoiceId: `invoice-${invoice}`, sequence });
      events += 1;
    }
    happens(random);
    world.run(random() * 800);
  }
  return events;
}

function calmDown(world: Simulation): void {
  world.weather.behaviour = CALM;
  world.run(CALM_DOWN_MS);
}

function expectOrdered(world: Simulation): void {
  for (const [pair, sequences] of world.receivers.received) {
    expect(sequences, pair).toEqual(sequences.toSorted((one, other) => one - other));
  }
}

function deliveredTo(world: Simulation, endpointId: string): number {
  return [...world.receivers.delivered].filter((key) => key.startsWith(`${endpointId} `)).length;
}

function expectDelivered(world: Simulation, events: number, endpoints = ENDPOINTS): void {
  for (const endpoint of endpoints) expect(deliveredTo(world, endpoint)).toBe(events);
  expectOrdered(world);
  world.expectIdle();
}

describe.each(SEEDS)('with seed %i', (seed) => {
  test('every event reaches every endpoint in order, once, when all is well', () => {
    const world = start(seed, { ...ALONE, behaviour: CALM });
    const events = live(world, seed, () => undefined);
    world.run(5_000);
    expect(world.sends).toBe(events * ENDPOINTS.length);
    expectDelivered(world, events);
  });

  test('nothing is lost or reordered by failures, hangs, lost lanes and crashes', () => {
    const world = start(seed, ALONE);
    const events = live(world, seed, (random) => {
      if (random() < 0.1) world.crash();
    });
    calmDown(world);
    expectDelivered(world, events);
  });

  test('processes pass lanes to each other, lose them and stop, and nothing is lost', () => {
    const world = start(seed, TOGETHER);
    const events = live(world, seed, (random) => {
      if (random() < 0.15) world.handOver();
      if (random() < 0.05) world.expire();
      if (random() < 0.05) world.drain();
      if (random() < 0.03) world.crash();
    });
    calmDown(world);
    expectDelivered(world, events);
  });

  test('lanes that are passed on and processes that stop send nothing twice', () => {
    // Every receiver answers within the deadline, and Postgres does at once.
    const behaviour = { ...CALM, failureRate: 0.2, slowRate: 0.4 };
    const world = start(seed, { ...TOGETHER, processes: 3, behaviour });
    const events = live(world, seed, (random) => {
      if (random() < 0.4) world.handOver();
      if (random() < 0.1) world.drain();
    });
    calmDown(world);
    expectDelivered(world, events);
    expect(world.receivers.repeats).toBe(0);
    expect(world.store.loggedAgain).toBe(0);
  });

  test('a paused endpoint gets everything in order once it is resumed', () => {
    const world = start(seed, TOGETHER);
    const events = live(world, seed, (random) => {
      if (random() < 0.3) world.setEndpoint('ep_2', random() < 0.5 ? 'paused' : 'active');
      if (random() < 0.05) world.handOver();
    });
    world.setEndpoint('ep_2', 'active');
    calmDown(world);
    expectDelivered(world, events);
  });

  test('endpoints that answer 410 get everything in order once they are enabled', () => {
    const world = start(seed, { ...TOGETHER, behaviour: { ...ROUGH, goneRate: 0.01 } });
    const events = live(world, seed, (random) => {
      if (random() < 0.05) world.handOver();
      if (random() < 0.02) world.drain();
    });
    calmDown(world);
    expectDelivered(world, events);
  });

  test('an endpoint that is unregistered leaves nothing behind and harms no other', () => {
    const world = start(seed, TOGETHER);
    const events = live(world, seed, (random) => {
      // Like a registration of the same address, it comes back under another name.
      const name = `ep_new${Math.floor(random() * 4)}`;
      if (random() < 0.2) world.setEndpoint(name, undefined);
      if (random() < 0.05) world.setEndpoint('ep_3', undefined);
      if (random() < 0.2) world.setEndpoint(`${name}_${random()}`, 'active');
      if (random() < 0.05) world.crash();
      if (random() < 0.05) world.handOver();
      if (random() < 0.05) world.expire();
    });
    for (const endpointId of world.endpoints.ids()) {
      if (endpointId !== 'ep_1' && endpointId !== 'ep_2') world.setEndpoint(endpointId, undefined);
    }
    calmDown(world);
    expectDelivered(world, events, ['ep_1', 'ep_2']);
  });

  test('what a subscription no longer matches is not sent, and holds nothing up', () => {
    const world = start(seed, TOGETHER);
    const all = [...ODD_EVENTS, 'invoice_paid'];
    world.setEndpoint('ep_some', 'active', all);
    const events = live(world, seed, (random) => {
      if (random() < 0.3) world.setEndpoint('ep_some', 'active', ODD_EVENTS);
      else if (random() < 0.2) world.setEndpoint('ep_some', 'active', all);
      if (random() < 0.05) world.handOver();
    });
    calmDown(world);
    expectDelivered(world, events);
    for (const event of world.log.lanes.flat().filter(isOdd)) {
      expect(world.receivers.delivered).toContain(`ep_some ${event.lane}:${event.position}`);
    }
  });

  test('what is dead or waits is sent when somebody asks for it', () => {
    const retryScheduleMs = [500, 1_000];
    const world = start(seed, { ...TOGETHER, retryScheduleMs });
    const events = live(world, seed, (random) => {
      if (random() < 0.2) world.retryByHand(0.05);
      if (random() < 0.05) world.handOver();
      if (random() < 0.02) world.crash();
    });
    calmDown(world);
    // Twice, as by two who know nothing of each other.
    world.retryByHand(1);
    world.retryByHand(1);
    world.run(30_000);
    // What was dead is outside the order.
    for (const endpoint of ENDPOINTS) expect(deliveredTo(world, endpoint)).toBe(events);
    world.expectIdle();
    for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, undefined);
    world.run(5_000);
    world.expectIdle();
  });
});

test('a lane is handed over at once, however many rows of it are to be cancelled', () => {
  const limits = { maxRowsPerEndpointLane: 60, maxRowsPerLane: 150 };
  const world = start(1, { ...TOGETHER, behaviour: CALM, limits });
  world.setEndpoint('ep_1', 'paused');
  for (let sequence = 1; sequence <= 300; sequence += 1) {
    world.append({ lane: 0, invoiceId: 'invoice', sequence });
  }
  world.run(20_000);
  expect(world.store.rowsOf(0, 'ep_1').length).toBeGreaterThan(20);
  const { epoch } = world.store.lane(0);
  world.setEndpoint('ep_1', undefined);
  world.handOver(0);
  world.run(500);
  expect(world.store.lane(0).epoch).toBe(epoch + 1);
  expect(world.store.rowsOf(0, 'ep_1')).not.toHaveLength(0);
  world.run(60_000);
  world.expectIdle();
});
