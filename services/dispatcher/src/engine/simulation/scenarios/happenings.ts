import type { Effect } from '../../effect.ts';
import type { CommitManner } from '../processes/shell.ts';
import type { Simulation } from '../simulation.ts';
import { CALM } from '../world.ts';
import { MANNERS } from './manners.ts';

/** Something that is done to an endpoint, or to the receiver behind it. */
export type Change =
  /** A receiver behaves in another way from now on. */
  | { readonly kind: 'behave'; readonly endpointId: string; readonly manners: string }
  | { readonly kind: 'register'; readonly endpointId: string; readonly names: readonly string[] }
  | { readonly kind: 'unregister'; readonly endpointId: string }
  | { readonly kind: 'subscribe'; readonly endpointId: string; readonly name: string }
  | { readonly kind: 'unsubscribe'; readonly endpointId: string; readonly name: string }
  | { readonly kind: 'pause'; readonly endpointId: string }
  | { readonly kind: 'resume'; readonly endpointId: string }
  | { readonly kind: 'disable'; readonly endpointId: string }
  | { readonly kind: 'move'; readonly endpointId: string; readonly origin: number }
  | {
      readonly kind: 'limit';
      readonly endpointId: string;
      readonly perSecond?: number;
      readonly maxInFlight?: number;
      readonly circuitFailures?: number;
      readonly circuitLongestWaitMs?: number;
    };

/** Something that is done to processes or lanes. Processes are numbered by their places. */
export type Deed =
  /** Events of an invoice are appended. */
  | {
      readonly kind: 'append';
      readonly lane: number;
      readonly invoice: number;
      readonly events: number;
      readonly bodyBytes: number;
    }
  | { readonly kind: 'crash'; readonly process: number }
  /** It dies amid the effects of an input, after so many of them. */
  | { readonly kind: 'crash amid'; readonly process: number; readonly effects: number }
  /** It dies when it has carried out an effect of a kind. */
  | {
      readonly kind: 'crash after';
      readonly process: number;
      readonly effect: Effect['kind'];
    }
  | { readonly kind: 'stop'; readonly process: number }
  | { readonly kind: 'hand over'; readonly lane: number }
  /** Another process takes a lane, and its owner hears nothing for a while. */
  | { readonly kind: 'steal'; readonly lane: number; readonly silentMs: number }
  /** A process renews no leases. */
  | { readonly kind: 'cut off'; readonly process: number; readonly forMs: number }
  | {
      readonly kind: 'sleep';
      readonly process: number;
      readonly forMs: number;
      readonly clock: 'goes on' | 'stands still';
    }
  | { readonly kind: 'step clock'; readonly process: number; readonly byMs: number }
  /** A process sees nothing of what changes in the set of endpoints. */
  | { readonly kind: 'blind'; readonly process: number; readonly forMs: number }
  | { readonly kind: 'store away'; readonly forMs: number }
  | { readonly kind: 'log away'; readonly forMs: number }
  /** What becomes of the next recording of a process. */
  | { readonly kind: 'commit'; readonly process: number; readonly manner: CommitManner }
  | { readonly kind: 'retry by hand'; readonly share: number };

export type Happening = Change | Deed;

export type HappeningKind = Happening['kind'];

/** A happening, and the time until it comes after the one before. */
export type Timed = Happening & { readonly afterMs: number };

/** Lets it happen. What it is about may not be there any more: then nothing does. */
export function happen(world: Simulation, happening: Happening): void {
  if ('endpointId' in happening) return change(world, happening);
  switch (happening.kind) {
    case 'append':
      return append(world, happening);
    case 'crash':
      return world.crash(happening.process);
    case 'crash amid':
      world.process(happening.process).effectsUntilDeath = happening.effects;
      return undefined;
    case 'crash after':
      world.process(happening.process).deadlyEffect = happening.effect;
      return undefined;
    case 'stop':
      return world.drain(happening.process);
    case 'hand over':
      return world.handOver(happening.lane);
    case 'steal':
      return world.leases.steal(happening.lane, happening.silentMs);
    case 'cut off':
      return world.leases.cut(world.process(happening.process), happening.forMs);
    case 'sleep':
      return world.freeze(happening.process, happening.forMs, happening.clock);
    case 'step clock':
      return world.stepClock(happening.process, happening.byMs);
    case 'blind': {
      const { view } = world.process(happening.process);
      view.cutUntilMs = world.timeline.nowMs + happening.forMs;
      return undefined;
    }
    case 'store away':
      world.weather.storeAwayUntilMs = world.timeline.nowMs + happening.forMs;
      return undefined;
    case 'log away':
      world.weather.logAwayUntilMs = world.timeline.nowMs + happening.forMs;
      return undefined;
    case 'commit':
      world.shell.nextCommits.set(world.process(happening.process), happening.manner);
      return undefined;
    case 'retry by hand':
      return world.retryByHand(happening.share);
  }
}

/** Changes the set of endpoints. */
function change(world: Simulation, happening: Change): void {
  const { endpointId } = happening;
  if (happening.kind === 'behave') {
    world.receivers.manners.set(endpointId, MANNERS.get(happening.manners) ?? CALM);
    return undefined;
  }
  if (happening.kind === 'register') {
    return world.setEndpoint(endpointId, 'active', happening.names);
  }
  const subscriber = world.endpoints.get(endpointId);
  if (subscriber === undefined) return undefined;
  const { view, subscriptions } = subscriber;
  switch (happening.kind) {
    case 'unregister':
      return world.removeEndpoint(endpointId);
    case 'subscribe':
      return world.putEndpoint(view, [...subscriptions.keys(), happening.name]);
    case 'unsubscribe': {
      const names = [...subscriptions.keys()].filter((name) => name !== happening.name);
      if (names.length === 0) return world.removeEndpoint(endpointId);
      return world.putEndpoint(view, names);
    }
    case 'pause':
      return world.changeEndpoint(endpointId, { state: 'paused' });
    case 'resume':
      return world.changeEndpoint(endpointId, { state: 'active' });
    case 'disable':
      return world.changeEndpoint(endpointId, { state: 'disabled' });
    case 'move': {
      const origin = `http://host-${happening.origin}`;
      return world.changeEndpoint(endpointId, { url: `${origin}/${endpointId}`, origin });
    }
    case 'limit': {
      const { perSecond, maxInFlight, circuitFailures, circuitLongestWaitMs } = happening;
      return world.changeEndpoint(endpointId, {
        rateLimitPerSecond: perSecond,
        maxInFlight,
        circuitFailures,
        circuitLongestWaitMs,
      });
    }
  }
}

function append(world: Simulation, happening: Deed & { readonly kind: 'append' }): void {
  const { lane, invoice, events, bodyBytes } = happening;
  const invoiceId = `invoice-${lane}-${invoice}`;
  for (let event = 0; event < events; event += 1) {
    const sequence = world.log.countOf(invoiceId) + 1;
    world.append({ lane, invoiceId, sequence, bodyBytes });
  }
}

/** Says in a line what happens. */
export function describe({ kind, ...facts }: Happening): string {
  const told = Object.entries(facts).map(([name, value]) => `${name} ${String(value)}`);
  return [kind, ...told].join(', ');
}
