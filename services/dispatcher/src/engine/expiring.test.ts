import { expect, test } from 'vitest';

import type { Effect, Now } from './effect.ts';
import { gainedLane, optionsOf, viewOf } from './engine.fixture.ts';
import { Engine } from './engine.ts';
import type { Recording } from './recording.ts';

const ENDPOINT = 'ep_paused';

function at(ms: number): Now {
  return { wallMs: 1_000_000 + ms, monotonicMs: ms };
}

function recordingOf(effects: readonly Effect[]): Recording {
  for (const effect of effects) if (effect.kind === 'record') return effect.recording;
  throw new Error('nothing is recorded');
}

test('a lane is given up although rows that should have died are left in it', () => {
  const view = viewOf(ENDPOINT, { state: 'paused' });
  const engine = new Engine(optionsOf({ view: () => view }));
  const parked = [{ endpointId: ENDPOINT, rows: 5, nextDueAtMs: undefined }];
  engine.laneGained(gainedLane(0, { parked }), at(0));
  engine.tick(at(1_000));
  const recording = recordingOf(engine.takeEffects());
  expect(recording.lanes[0]?.expireEndpoints).toEqual([ENDPOINT]);

  engine.handOver(0, at(1_010));
  const expired = [{ endpointId: ENDPOINT, rows: 2, isAll: false }];
  const result = { revived: [], cancelled: [], listed: [], expired };
  engine.recorded(recording, [{ kind: 'recorded', lane: 0, ...result }], at(1_020));
  expect(engine.takeEffects()).toContainEqual({ kind: 'release', lane: 0, epoch: 1 });
});
