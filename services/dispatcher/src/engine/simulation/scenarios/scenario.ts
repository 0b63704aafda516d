import { MAX_BODY_BYTES } from '../checks/bounds.ts';
import type { EngineLimits } from '../../limits.ts';
import { createRandom } from '../random.ts';
import { EVERY_EVENT } from '../servers/endpoint-set.ts';
import { CALM, type Behaviour, type World } from '../world.ts';
import type { Happening, HappeningKind, Timed } from './happenings.ts';
import { MANNERS } from './manners.ts';

/** A world, and what happens in it. */
export interface Scenario {
  readonly seed: number;
  readonly world: World;
  readonly happenings: readonly Timed[];
}

const EFFECTS = ['record', 'claim', 'refill', 'find', 'answered_late', 'release', 'send'] as const;
const EVENT_NAMES = ['invoice_created', 'invoice_updated', 'invoice_paid'];
/** Those that neither take a delivery without saying so nor keep a sender beyond its deadline. */
const GENTLE_MANNERS: readonly string[] = [
  'calm',
  'failing',
  'flaky',
  'flapping',
  'overloaded',
  'judging',
  'slow',
];

/** What happens in every scenario, and what nobody is harmed by. */
const GENTLE: readonly HappeningKind[] = [
  'behave',
  'register',
  'unregister',
  'subscribe',
  'unsubscribe',
  'pause',
  'resume',
  'move',
  'limit',
  'stop',
  'hand over',
];
const ROUGH: readonly HappeningKind[] = [
  'disable',
  'crash',
  'crash amid',
  'crash after',
  'steal',
  'cut off',
  'sleep',
  'step clock',
  'blind',
  'store away',
  'log away',
  'commit',
  'retry by hand',
];
/** This share of scenarios has nothing that may make anybody send anything twice. */
const GENTLE_RATE = 0.15;
/** How often a kind of happening is left out of a scenario altogether. */
const LEFT_OUT_RATE = 0.5;
const APPEND_SHARE = 0.5;
const TWEAK_RATE = 0.15;
/** In this share of scenarios most endpoints may get little, and have long backlogs. */
const THROTTLED_RATE = 0.3;
const THROTTLED_PER_SECOND = 0.5;
const THROTTLED_LIMITS: Partial<EngineLimits> = {
  minQueued: 5,
  maxRowsPerEndpointLane: 60,
  maxRowsPerLane: 150,
  refillAtPart: 0.3,
};
const MOST_HAPPENINGS = 150;

/**
 * Makes the scenario of a seed. How often what happens is different from seed to seed, and much is left
 * out of each: so that also happens what is rare when everything may happen (swarm testing; Groce and
 * others, 2012).
 */
export function createScenario(seed: number): Scenario {
  const draw = new Draw(createRandom(seed));
  const gentle = draw.isTrue(GENTLE_RATE);
  const lanes = draw.from([1, 1, 2, 3]);
  const setup: Setup = {
    lanes,
    processes: draw.from([1, 1, 2, 2, 3]),
    endpoints: draw.whole(1, 6),
    invoices: draw.from([1, 3, 10, 40]),
    manners: gentle ? GENTLE_MANNERS : draw.some([...MANNERS.keys()]),
    gapMs: draw.from([20, 60, 200, 600]),
    eventsAtOnce: draw.from([1, 1, 3, 10, 20]),
    bodyBytes: draw.from([2, 200, MAX_BODY_BYTES]),
    isThrottled: draw.isTrue(THROTTLED_RATE),
  };
  const world: World = {
    lanes,
    processes: setup.processes,
    behaviour: gentle ? CALM : behaviourOf(draw),
    retryScheduleMs: draw.from([
      [500, 1_000],
      [300, 300, 600],
      [1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000],
    ]),
    retentionMs: gentle ? 86_400_000 : draw.from([86_400_000, 86_400_000, 20_000]),
    limits: { ...limitsOf(draw), ...(setup.isThrottled ? THROTTLED_LIMITS : {}) },
  };
  return { seed, world, happenings: happeningsOf(draw, setup, gentle) };
}

/** Says whether nothing in a scenario may make anybody send anything twice. */
export function isGentle({ world, happenings }: Scenario): boolean {
  const { refusedRecordingRate, slowStoreRate, deafRate, hangRate, slowRate } = world.behaviour;
  if (refusedRecordingRate + slowStoreRate + deafRate + hangRate + slowRate > 0) return false;
  return happenings.every((happening) => {
    if (happening.kind === 'behave') return GENTLE_MANNERS.includes(happening.manners);
    return happening.kind === 'append' || GENTLE.includes(happening.kind);
  });
}

interface Setup {
  readonly lanes: number;
  readonly processes: number;
  readonly endpoints: number;
  readonly invoices: number;
  readonly manners: readonly string[];
  readonly gapMs: number;
  readonly eventsAtOnce: number;
  readonly bodyBytes: number;
  readonly isThrottled: boolean;
}

/** Draws by lot. */
class Draw {
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  isTrue(rate: number): boolean {
    return this.random() < rate;
  }

  whole(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  from<Item>(items: readonly Item[]): Item {
    const item = items[this.whole(0, items.length - 1)];
    if (item === undefined) throw new Error('There is nothing to draw from.');
    return item;
  }

  /** Some of them, one at least. */
  some<Item>(items: readonly Item[]): Item[] {
    const drawn = items.filter(() => this.isTrue(0.4));
    return drawn.length > 0 ? drawn : [this.from(items)];
  }

  /** Short ones are much more frequent than long ones. */
  wait(usualMs: number): number {
    return Math.round(-Math.log(1 - this.random()) * usualMs);
  }
}

function behaviourOf(draw: Draw): Behaviour {
  const rate = (most: number): number => (draw.isTrue(0.5) ? 0 : draw.random() * most);
  return {
    ...CALM,
    failureRate: rate(0.4),
    hangRate: rate(0.05),
    slowRate: rate(0.05),
    refusedRecordingRate: rate(0.1),
    slowStoreRate: rate(0.05),
    shortReadRate: rate(0.8),
    answerMs: draw.from([20, 20, 200]),
  };
}

/** Some limits are even smaller, so that other ones are met first. */
function limitsOf(draw: Draw): Partial<EngineLimits> {
  const tweaks: readonly Partial<EngineLimits>[] = [
    { maxWindowEvents: 12 },
    { maxHeld: 40, minQueued: 10, maxClaimed: 16 },
    { maxHeldBytes: 60_000, maxClaimedBytes: 12_000 },
    { maxClaimed: 6 },
    { maxClaimedBytes: 4_000 },
    { maxUnrecorded: 20 },
    { recordAtAttempts: 3 },
    { maxInFlight: 3, maxInFlightPerOrigin: 2 },
    { maxInFlightPerEndpoint: 2 },
    { rateLimitPerSecond: 15 },
    { maxReady: 1 },
    { maxBlockedPairs: 1 },
    { maxBlockedPairsInAll: 3 },
    { maxBlockedPairs: 50, maxBlockedPairsInAll: 30 },
    { maxBlockedPairs: 50, maxRowsPerEndpointLane: 60, maxRowsPerLane: 150 },

    { maxRowsPerEndpointLane: 2, refillAtPart: 0 },
    { maxRestingRowsPerEndpointLane: 6 },
    { maxRowsPerLane: 5 },
    { refillAtPart: 1 },
    { maxRefillEvents: 2, maxRefillRows: 2 },
    { maxRefillEvents: 30, maxRefillRows: 20 },
    { maxRefillEndpoints: 4, maxRefills: 3 },
    { parkAfterMs: 200 },
    { handOverAfterMs: 50 },
    { circuit: { failures: 2, firstWaitMs: 500, longestWaitMs: 8_000 } },
    { circuit: { failures: 50, firstWaitMs: 200, longestWaitMs: 1_000 } },
    { maxClaimedPerEndpoint: 2, maxClaims: 1 },
    { maxClaimedPerEndpoint: 30 },
  ];
  let limits: Partial<EngineLimits> = {};
  for (const tweak of tweaks) if (draw.isTrue(TWEAK_RATE)) limits = { ...limits, ...tweak };
  return limits;
}

/** Draws happenings, each kind as often as its weight says. */
function happeningsOf(draw: Draw, setup: Setup, gentle: boolean): Timed[] {
  const all = gentle ? GENTLE : [...GENTLE, ...ROUGH];
  // Another limit would end their backlogs.
  const kinds = setup.isThrottled ? all.filter((kind) => kind !== 'limit') : all;
  const weights = kinds.flatMap((kind) => {
    const weight = draw.isTrue(LEFT_OUT_RATE) ? 0 : draw.from([1, 3, 10]);
    return Array.from({ length: weight }, () => kind);
  });
  const endpoints = new Roster(draw, setup.endpoints);
  const atStart = endpoints.atStart();
  if (setup.isThrottled) atStart.push(...endpoints.throttle());
  const happenings = atStart.map((happening): Timed => ({ ...happening, afterMs: 0 }));
  const most = draw.whole(10, MOST_HAPPENINGS);
  while (happenings.length < most) {
    const isAppend = weights.length === 0 || draw.isTrue(APPEND_SHARE);
    const kind = isAppend ? 'append' : draw.from(weights);
    const happening = happeningOf(kind, { draw, setup, endpoints });
    happenings.push({ ...happening, afterMs: draw.wait(setup.gapMs) });
  }
  return happenings;
}

/** The endpoints that there are. What is registered again is another one. */
class Roster {
  private readonly draw: Draw;
  private readonly ids: string[];
  private registered: number;

  constructor(draw: Draw, endpoints: number) {
    this.draw = draw;
    this.ids = Array.from({ length: endpoints }, (_, index) => `ep_${index + 1}`);
    this.registered = endpoints;
  }

  atStart(): Happening[] {
    return this.ids.map((endpointId) => this.register(endpointId));
  }

  /** Of all but one nearly all has to wait. */
  throttle(): Happening[] {
    return this.ids.slice(1).map((endpointId) => {
      return { kind: 'limit', endpointId, perSecond: THROTTLED_PER_SECOND };
    });
  }

  pick(): string {
    return this.draw.from(this.ids);
  }

  add(): Happening {
    this.registered += 1;
    const endpointId = `ep_${this.registered}`;
    this.ids[this.draw.whole(0, this.ids.length - 1)] = endpointId;
    return this.register(endpointId);
  }

  private register(endpointId: string): Happening {
    const isAll = this.draw.isTrue(0.5);
    return { kind: 'register', endpointId, names: isAll ? [EVERY_EVENT] : EVENT_NAMES };
  }
}

interface Drawn {
  readonly draw: Draw;
  readonly setup: Setup;
  readonly endpoints: Roster;
}

function happeningOf(kind: HappeningKind, { draw, setup, endpoints }: Drawn): Happening {
  const process = draw.whole(0, setup.processes - 1);
  const lane = draw.whole(0, setup.lanes - 1);
  const forMs = draw.from([300, 1_500, 5_000, 9_000]);
  switch (kind) {
    case 'append': {
      const invoice = draw.whole(1, setup.invoices);
      const events = draw.whole(1, setup.eventsAtOnce);
      return { kind, lane, invoice, events, bodyBytes: draw.whole(2, setup.bodyBytes) };
    }
    case 'behave':
      return { kind, endpointId: endpoints.pick(), manners: draw.from(setup.manners) };
    case 'register':
      return endpoints.add();
    case 'unregister':
    case 'pause':
    case 'resume':
    case 'disable':
      return { kind, endpointId: endpoints.pick() };
    case 'subscribe':
    case 'unsubscribe':
      return { kind, endpointId: endpoints.pick(), name: draw.from(EVENT_NAMES) };
    case 'move':
      return { kind, endpointId: endpoints.pick(), origin: draw.whole(0, 2) };
    case 'limit': {
      const rate = draw.from([{}, { perSecond: 0.5 }, { perSecond: 2 }, { perSecond: 20 }]);
      const most = draw.from([{}, { maxInFlight: 1 }, { maxInFlight: 3 }]);
      const circuit = draw.from([
        {},
        { circuitFailures: 1 },
        { circuitFailures: 3, circuitLongestWaitMs: 500 },
        { circuitLongestWaitMs: 2_000 },
      ]);
      return { kind, endpointId: endpoints.pick(), ...rate, ...most, ...circuit };
    }
    case 'crash':
    case 'stop':
      return { kind, process };
    case 'crash amid':
      return { kind, process, effects: draw.whole(0, 3) };
    case 'crash after':
      return { kind, process, effect: draw.from(EFFECTS) };
    case 'hand over':
      return { kind, lane };
    case 'steal':
      return { kind, lane, silentMs: forMs };
    case 'cut off':
    case 'blind':
      return { kind, process, forMs };
    case 'sleep':
      return { kind, process, forMs, clock: draw.from(['goes on', 'stands still']) };
    case 'step clock':
      return { kind, process, byMs: draw.from([-30_000, -1_000, 1_000, 5_000, 30_000]) };
    case 'store away':
    case 'log away':
      return { kind, forMs };
    case 'commit':
      return { kind, process, manner: draw.from(['unheard', 'refused', 'repeated']) };
    case 'retry by hand':
      return { kind, share: draw.from([0.01, 0.1, 1]) };
  }
}
