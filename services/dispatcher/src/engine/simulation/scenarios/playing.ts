import type { Races } from '../checks/races.ts';
import { Simulation } from '../simulation.ts';
import { describe, happen } from './happenings.ts';
import { isGentle, type Scenario } from './scenario.ts';

/** Longer than anything may take once all is well: clocks were wrong by a minute at most. */
const CALM_DOWN_MS = 400_000;

/** How a scenario went. */
export interface Played {
  /** Absent when every promise was kept. */
  readonly failure: Failure | undefined;
  readonly races: Races;
  /** The same for each run of a scenario. */
  readonly hash: string;
  /** The last steps. */
  readonly lines: readonly string[];
  readonly events: number;
  readonly sends: number;
  readonly simulatedMs: number;
}

export interface Failure {
  readonly message: string;
  /** How many of the happenings had come. */
  readonly happened: number;
}

/** Plays a scenario through, and then lets all be well until everything is done. */
export function play(scenario: Scenario): Played {
  const { seed, world, happenings } = scenario;
  const simulation = new Simulation(seed, world);
  const startMs = simulation.timeline.nowMs;
  let happened = 0;
  let failure: Failure | undefined;
  try {
    for (const { afterMs, ...happening } of happenings) {
      simulation.run(afterMs);
      simulation.note(`* ${describe(happening)}`);
      happened += 1;
      happen(simulation, happening);
    }
    simulation.note('* all is well from now on');
    simulation.heal();
    simulation.runUntilIdle(CALM_DOWN_MS);
    simulation.expectIdle();
    if (isGentle(scenario)) expectNoRepeats(simulation);
  } catch (error) {
    failure = { message: messageOf(error), happened };
    simulation.note(`! ${failure.message}`);
  }
  const { races, trace, log, sends, timeline } = simulation;
  return {
    failure,
    races,
    hash: trace.hash(),
    lines: trace.lines(),
    events: log.lanes.flat().length,
    sends,
    simulatedMs: timeline.nowMs - startMs,
  };
}

function expectNoRepeats({ receivers, store }: Simulation): void {
  if (receivers.repeats > 0) throw new Error(`${receivers.repeats} deliveries were sent again.`);
  if (store.loggedAgain > 0) throw new Error(`${store.loggedAgain} attempts were logged again.`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
