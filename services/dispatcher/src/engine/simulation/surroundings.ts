import type { EndpointSet } from './servers/endpoint-set.ts';
import type { SimulatedLog } from './servers/log.ts';
import type { Races } from './checks/races.ts';
import type { Repeats } from './checks/repeats.ts';
import type { Dice } from './random.ts';
import type { Receivers } from './servers/receivers.ts';
import type { SimulatedStore } from './servers/store.ts';
import type { Timeline } from './timeline.ts';
import type { Trace } from './trace.ts';
import type { Weather } from './servers/weather.ts';
import type { World } from './world.ts';

/** Everything around the engines. */
export interface Surroundings {
  readonly world: World;
  readonly timeline: Timeline;
  readonly dice: Dice;
  readonly weather: Weather;
  readonly log: SimulatedLog;
  readonly store: SimulatedStore;
  readonly endpoints: EndpointSet;
  readonly receivers: Receivers;
  readonly races: Races;
  readonly repeats: Repeats;
  readonly trace: Trace;
}
