import { describe, expect, test } from 'vitest';

import { createRandom, Simulation, type Behaviour } from './simulation.ts';

const CALM: Behaviour = { failureRate: 0, hangRate: 0, refusedRecordingRate: 0 };
const ROUGH: Behaviour = { failureRate: 0.3, hangRate: 0.05, refusedRecordingRate: 0.02 };
const ENDPOINTS = ['ep_1', 'ep_2', 'ep_3'];
const LANES = 2;

/** Appends events of a few invoices over a while, with whatever happens in between. */
function live(world: Simulation, seed: number, happens: (random: () => number) => void): number {
  const random = createRandom(seed);
  const sequences = new Map<string, number>();
  let events = 0;
  for (let round = 0; round < 60; round += 1) {
    for (let count = random() * 12; count > 0; count -= 1) {
      const invoice = Math.floor(random() * 20);
      const lane = invoice % LANES;
      const sequence = (sequences.get(`${invoice}`) ?? 0) + 1;
      sequences.set(`${invoice}`, sequence);
      world.append(lane, `invoice-${invoice}`, sequence);
      events += 1;
    }
    happens(random);
    world.run(random() * 800);
  }
  return events;
}

function expectOrdered(world: Simulation): void {
  for (const [pair, sequences] of world.received) {
    const ordered = [...sequences].sort((one, other) => one - other);
    expect(sequences, pair).toEqual(ordered);
  }
}

function receivedBy(world: Simulation, endpointId: string): number {
  let count = 0;
  for (const [pair, sequences] of world.received) {
    if (pair.startsWith(`${endpointId} `)) count += sequences.length;
  }
  return count;
}

function expectIdle(world: Simulation): void {
  expect(world.usage()).toMatchObject({ inFlight: 0, held: 0, heldBytes: 0, unrecorded: 0 });
  expect(world.parkedRows()).toBe(0);
  expect(world.needlessSends).toBe(0);
  for (const { progress, events } of world.lanes) expect(progress).toBe(events.length);
}

describe.each(Array.from({ length: 40 }, (_, seed) => seed))('with seed %i', (seed) => {
  test('every event reaches every endpoint in order, once, when all is well', () => {
    const world = new Simulation(seed, LANES, CALM);
    for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, 'active');
    const events = live(world, seed, () => undefined);
    world.run(5_000);
    for (const endpoint of ENDPOINTS) expect(receivedBy(world, endpoint)).toBe(events);
    expect(world.sends).toBe(events * ENDPOINTS.length);
    expectOrdered(world);
    expectIdle(world);
  });

  test('nothing is lost or reordered by failures, hangs, lost lanes and crashes', () => {
    const world = new Simulation(seed, LANES, ROUGH);
    for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, 'active');
    const events = live(world, seed, (random) => {
      if (random() < 0.1) world.crash();
    });
    world.behaviour = CALM;
    world.run(240_000);
    for (const endpoint of ENDPOINTS) expect(receivedBy(world, endpoint)).toBe(events);
    expectOrdered(world);
    expectIdle(world);
  });

  test('a paused endpoint gets everything in order once it is resumed', () => {
    const world = new Simulation(seed, LANES, ROUGH);
    for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, 'active');
    const events = live(world, seed, (random) => {
      if (random() < 0.3) world.setEndpoint('ep_2', random() < 0.5 ? 'paused' : 'active');
    });
    world.behaviour = CALM;
    world.setEndpoint('ep_2', 'active');
    world.run(240_000);
    for (const endpoint of ENDPOINTS) expect(receivedBy(world, endpoint)).toBe(events);
    expectOrdered(world);
    expectIdle(world);
  });

  test('an endpoint that is unregistered leaves nothing behind and harms no other', () => {
    const world = new Simulation(seed, LANES, ROUGH);
    for (const endpoint of ENDPOINTS) world.setEndpoint(endpoint, 'active');
    const events = live(world, seed, (random) => {
      if (random() < 0.03) world.setEndpoint('ep_3', undefined);
      if (random() < 0.05) world.crash();
    });
    world.setEndpoint('ep_3', undefined);
    world.behaviour = CALM;
    world.run(240_000);
    expect(receivedBy(world, 'ep_1')).toBe(events);
    expect(receivedBy(world, 'ep_2')).toBe(events);
    expectOrdered(world);
    expectIdle(world);
  });
});
