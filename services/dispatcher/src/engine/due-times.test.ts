import { expect, test } from 'vitest';

import { DueTimes } from './due-times.ts';
import { createEndpointLane, type EndpointLane } from './endpoint-lane.ts';
import { createEndpoint } from './endpoint.ts';
import { createLaneWindow } from './lane-window.ts';
import { createRandom } from './simulation/random.ts';

function endpointLane(name: string): EndpointLane {
  const window = createLaneWindow({
    lane: 0,
    epoch: 1,
    progress: 0,
    mark: undefined,
    settledAhead: [],
  });
  return createEndpointLane(createEndpoint(name, undefined), window, 0);
}

test('what is due is taken once, the earliest first', () => {
  const times = new DueTimes();
  const [late, early, later] = ['late', 'early', 'later'].map(endpointLane);
  if (!late || !early || !later) throw new Error('three were made');
  times.note(late, 30);
  times.note(early, 40);
  times.note(later, 50);
  times.note(early, 10);
  times.note(early, 60);
  expect(times.earliestMs()).toBe(10);
  expect(times.takeDue(30)).toEqual([early, late]);
  expect(times.takeDue(30)).toEqual([]);
  expect(times.earliestMs()).toBe(50);
});

test('nothing grows however often something is noted, taken or forgotten', () => {
  const times = new DueTimes();
  const lanes = Array.from({ length: 20 }, (_, index) => endpointLane(String(index)));
  const random = createRandom(1);
  for (let nowMs = 0; nowMs < 5_000; nowMs += 1) {
    const lane = lanes[Math.floor(random() * lanes.length)];
    if (lane === undefined) continue;
    // First what is due in a day, as of a failed delivery, then what is due now.
    times.note(lane, nowMs + 86_400_000);
    if (random() < 0.1) times.forget(lane);
    else times.note(lane, nowMs + Math.floor(random() * 20));
    const known = lanes.map(({ nextDueAtMs }) => nextDueAtMs);
    expect(times.earliestMs()).toBe(Math.min(...known));
    for (const due of times.takeDue(nowMs)) expect(due.nextDueAtMs).toBe(Infinity);
    expect(times.size).toBe(lanes.filter(({ nextDueAtMs }) => nextDueAtMs < Infinity).length);
  }
});
