import { expect, test } from 'vitest';
import { createClusterSystem } from '../system/cluster.ts';
import { canHaveSystem } from '../system/create-system.ts';
import { raceRegistrations } from '../system/registration-race.ts';

/** Each with a view of its own of what is registered. */
const DISPATCHERS = 3;

test.skipIf(!canHaveSystem())(
  `a registration counts at once in the eyes of ${DISPATCHERS} dispatchers`,
  async () => {
    await using cleanUp = new AsyncDisposableStack();
    const system = await createClusterSystem({}, { dispatcher: DISPATCHERS });
    cleanUp.defer(() => system.remove());
    await system.start();

    await raceRegistrations(system, {
      loops: 12,
      rounds: 40,
    });

    expect(await system.stop('SIGTERM')).toBe(0);
  },
);
