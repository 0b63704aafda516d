import { Races } from '../checks/races.ts';
import { play } from './playing.ts';
import type { Failed } from './reducing.ts';
import { createScenario } from './scenario.ts';

/** What came of the scenarios of several seeds. */
export interface Seeds {
  /** How many were played: with the first one that fails, it ends. */
  readonly played: number;
  readonly failed: Failed | undefined;
  readonly races: Races;
  readonly events: number;
  readonly sends: number;
  readonly simulatedMs: number;
}

/** Plays the scenarios of some seeds in a row, up to the first one that fails. */
export function playSeeds(first: number, count: number): Seeds {
  const races = new Races();
  const total = { events: 0, sends: 0, simulatedMs: 0 };
  for (let seed = first; seed < first + count; seed += 1) {
    const scenario = createScenario(seed);
    const played = play(scenario);
    races.add(played.races);
    total.events += played.events;
    total.sends += played.sends;
    total.simulatedMs += played.simulatedMs;
    const { failure } = played;
    if (failure === undefined) continue;
    const failed = { scenario, played: { ...played, failure } };
    return { ...total, played: seed - first + 1, failed, races };
  }
  return { ...total, played: count, failed: undefined, races };
}
