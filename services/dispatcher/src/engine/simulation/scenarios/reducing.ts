import { CALM } from '../world.ts';
import { play, type Failure, type Played } from './playing.ts';
import type { Scenario } from './scenario.ts';

/** A scenario that fails, and how. */
export interface Failed {
  readonly scenario: Scenario;
  readonly played: Played & { readonly failure: Failure };
}

/**
 * Leaves out of a scenario that fails whatever it fails without: happenings first, by delta debugging
 * (Zeller and Hildebrandt, 2002), then what is odd about its world. The same failure counts only.
 *
 * @param mostRuns how many scenarios may be played for it.
 */
export function reduce(failed: Failed, mostRuns: number): Failed {
  const reduction = new Reduction(failed, mostRuns);
  reduction.leaveOut();
  reduction.simplify();
  reduction.leaveOut();
  return reduction.best;
}

class Reduction {
  best: Failed;
  private runsLeft: number;
  private readonly kind: string;

  constructor(failed: Failed, mostRuns: number) {
    this.best = failed;
    this.runsLeft = mostRuns;
    this.kind = kindOf(failed.played.failure);
    this.cutEnd();
  }

  /** Leaves happenings out: large parts first, then ever smaller ones. */
  leaveOut(): void {
    let size = Math.ceil(this.best.scenario.happenings.length / 2);
    while (size >= 1 && this.runsLeft > 0) {
      let from = 0;
      while (from < this.best.scenario.happenings.length) {
        if (!this.attempt(without(this.best.scenario, from, size))) from += size;
      }
      size = size === 1 ? 0 : Math.ceil(size / 2);
    }
  }

  /** Makes the world, and single happenings, as plain as they may be. */
  simplify(): void {
    const { world } = this.best.scenario;
    this.change({ behaviour: CALM });
    for (const [name, rate] of Object.entries(world.behaviour)) {
      if (rate !== 0)
        this.change({ behaviour: { ...this.best.scenario.world.behaviour, [name]: 0 } });
    }
    for (let processes = 1; processes < world.processes; processes += 1) {
      if (this.change({ processes })) break;
    }
    for (const name of Object.keys(world.limits ?? {})) {
      const limits = { ...this.best.scenario.world.limits };
      Reflect.deleteProperty(limits, name);
      this.change({ limits });
    }
    for (const [nth, happening] of this.best.scenario.happenings.entries()) {
      if (happening.kind !== 'append' || happening.events === 1) continue;
      const { scenario } = this.best;
      this.attempt({
        ...scenario,
        happenings: scenario.happenings.with(nth, { ...happening, events: 1 }),
      });
    }
  }

  /** What comes after the failure is no matter. */
  private cutEnd(): void {
    const { scenario, played } = this.best;
    this.attempt({
      ...scenario,
      happenings: scenario.happenings.slice(0, played.failure.happened),
    });
  }

  private change(change: Partial<Scenario['world']>): boolean {
    const { scenario } = this.best;
    return this.attempt({ ...scenario, world: { ...scenario.world, ...change } });
  }

  /** Keeps a scenario if it still fails in the same way. */
  private attempt(scenario: Scenario): boolean {
    if (this.runsLeft <= 0) return false;
    this.runsLeft -= 1;
    const played = play(scenario);
    const { failure } = played;
    if (failure === undefined || kindOf(failure) !== this.kind) return false;
    this.best = { scenario, played: { ...played, failure } };
    return true;
  }
}

/** Leaves some happenings out; those after them come no earlier. */
function without(scenario: Scenario, from: number, size: number): Scenario {
  const left = scenario.happenings.slice(from, from + size);
  const rest = [...scenario.happenings.slice(0, from), ...scenario.happenings.slice(from + size)];
  const next = rest[from];
  if (next === undefined) return { ...scenario, happenings: rest };
  const waitedMs = left.reduce((sum, { afterMs }) => sum + afterMs, 0);
  const later = { ...next, afterMs: next.afterMs + waitedMs };
  return { ...scenario, happenings: rest.with(from, later) };
}

/** A failure without its names and numbers. */
function kindOf({ message }: Failure): string {
  return message.replaceAll(/[\d:]+/g, '#');
}
