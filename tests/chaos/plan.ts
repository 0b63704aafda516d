import { SERVICES } from '../cluster/places.ts';
import type { Copies, Service } from '../cluster/places.ts';
import { createRandom } from './random.ts';

/**
 * What may happen to a cluster. `freeze-inside` stops a process while it holds a transaction open, as
 * far as that can be had. A copy that leaves is asked to (SIGTERM).
 */
export type FaultAction =
  'kill' | 'freeze' | 'freeze-inside' | 'restart' | 'join' | 'leave' | 'delete-topic';

/** One fault of a plan. */
export interface Fault {
  readonly action: FaultAction;
  /** A service, or `broker`, `postgres` or `topic`. */
  readonly target: Target;
  /** Whom it hits, such as `invoice-2`. */
  readonly victim: string;
  /** How long all goes well before. */
  readonly calmMs: number;
  /** How long the victim is away, or frozen. */
  readonly lastsMs: number;
  /** Whether the next one comes as soon as the victim is back, before delivery is normal again. */
  readonly hurried: boolean;
}

export type Target = Service | 'broker' | 'postgres' | 'topic';

export interface PlanOptions {
  readonly seed: number;
  readonly faults: number;
  /** How many copies of each service run at the start; each has a place for one more. */
  readonly copies: Copies;
}

/** `action target`, such as `kill invoice`. */
export function kindOf({ action, target }: Pick<Fault, 'action' | 'target'>): string {
  return `${action} ${target}`;
}

/** Every kind in the proportion in which it is to happen; `join` is followed by a `leave`. */
const DECK: readonly (readonly [FaultAction, Target | 'any'])[] = [
  ['kill', 'dispatcher'],
  ['kill', 'dispatcher'],
  ['kill', 'invoice'],
  ['kill', 'subscription'],
  ['kill', 'gateway'],
  ['kill', 'broker'],
  ['kill', 'postgres'],
  ['freeze', 'dispatcher'],
  ['freeze-inside', 'dispatcher'],
  ['freeze', 'invoice'],
  ['freeze-inside', 'invoice'],
  ['freeze', 'broker'],
  ['freeze', 'postgres'],
  ['restart', 'any'],
  ['join', 'any'],
  ['join', 'dispatcher'],
  ['delete-topic', 'topic'],
];

const CALM_MS = { least: 200, most: 1_500 };
const AWAY_MS = { least: 0, most: 2_500 };
/** A lease lasts 10 s: somebody else has the lanes when the process wakes up. */
const FROZEN_MS = { least: 11_500, most: 14_000 };
/** Leases that nobody can renew or take are no longer safe after 8 s, and over after 10 s. */
const SERVER_FROZEN_MS = { least: 1_000, most: 12_000 };
const HURRIED_SHARE = 0.25;

/** Plans faults. The plan depends on nothing but the options. */
export function planFaults(options: PlanOptions): readonly Fault[] {
  const random = createRandom(options.seed);
  const running = createRoster(options.copies);
  const between = ({ least, most }: { readonly least: number; readonly most: number }) =>
    Math.round(least + random() * (most - least));
  const pick = <Item>(items: readonly Item[]): Item => existing(items, random());
  const plan: Fault[] = [];
  let deck: (readonly [FaultAction, Target | 'any'])[] = [];

  while (plan.length < options.faults) {
    if (deck.length === 0) deck = shuffle(DECK, random);
    const [card, of] = deck.pop() ?? ['kill', 'dispatcher'];
    const target = of === 'any' ? pick(SERVICES) : of;
    const action = card === 'join' && running.isFull(target) ? 'leave' : card;
    plan.push({
      action,
      target,
      victim: action === 'join' ? running.join(target) : pick(running.victims(target)),
      calmMs: between(CALM_MS),
      lastsMs: between(durationOf(action, target)),
      hurried: random() < HURRIED_SHARE,
    });
    const last = plan.at(-1);
    if (last?.action === 'leave') running.leave(last.victim);
  }
  return plan;
}

function durationOf(action: FaultAction, target: Target) {
  switch (action) {
    case 'freeze':
    case 'freeze-inside':
      return target === 'broker' || target === 'postgres' ? SERVER_FROZEN_MS : FROZEN_MS;
    case 'kill':
    case 'restart':
    case 'join':
    case 'leave':
    case 'delete-topic':
      return AWAY_MS;
  }
}

/** Keeps who runs, so that a plan names its victims. */
function createRoster(copies: Copies) {
  const all = new Map<Target, readonly string[]>(
    SERVICES.map((service) => [service, namesOf(service, copies[service] + 1)]),
  );
  const running = new Set(SERVICES.flatMap((service) => namesOf(service, copies[service])));
  const away = (target: Target) => (all.get(target) ?? []).filter((name) => !running.has(name));

  return {
    isFull: (target: Target) => away(target).length === 0,
    victims: (target: Target) => all.get(target)?.filter((name) => running.has(name)) ?? [target],
    /** Returns who joins. */
    join(target: Target): string {
      const [name = ''] = away(target);
      running.add(name);
      return name;
    },
    leave: (name: string) => running.delete(name),
  };
}

function namesOf(service: Service, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${service}-${index + 1}`);
}

function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  const rest = [...items];
  return items.map(() => {
    const [next] = rest.splice(Math.floor(random() * rest.length), 1);
    if (next === undefined) throw new Error('there is one for each');
    return next;
  });
}

function existing<Item>(items: readonly Item[], dice: number): Item {
  const item = items[Math.floor(dice * items.length)];
  if (item === undefined) throw new Error('there is nothing to choose from');
  return item;
}
