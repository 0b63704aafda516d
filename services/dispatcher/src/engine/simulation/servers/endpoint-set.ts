import type { LogEvent } from '../../delivery.ts';
import type { EndpointView } from '../../endpoint.ts';

/** All event names, for a subscription. */
export const EVERY_EVENT = '*';

/** An endpoint, with the names of the events that it gets. */
export interface Subscriber {
  readonly view: EndpointView;
  /** When each event name was subscribed to, on the clock of the events. */
  readonly subscriptions: ReadonlyMap<string, number>;
  /** The revision at which it was registered or enabled: reports of before it are ignored. */
  readonly enabledAt: number;
}

/** A change of the set: what an endpoint is from a revision on. */
export interface SetChange {
  readonly revision: number;
  readonly endpointId: string;
  /** Absent once it is unregistered. */
  readonly subscriber: Subscriber | undefined;
}

/** Says whether a subscription matches the event: one that was made before it. */
export function subscribes(subscriber: Subscriber | undefined, event: LogEvent): boolean {
  return [event.type, EVERY_EVENT].some((name) => {
    const sinceMs = subscriber?.subscriptions.get(name);
    return sinceMs !== undefined && sinceMs <= event.recordedAtMs;
  });
}

/** The set of endpoints as the subscription service knows it. */
export class EndpointSet {
  revision = 0;
  private readonly current = new Map<string, Subscriber>();
  /** Subscriptions that there were: from when to when, by endpoint. */
  private readonly past = new Map<string, { name: string; fromMs: number; toMs: number }[]>();

  ids(): string[] {
    return [...this.current.keys()];
  }

  get(endpointId: string): Subscriber | undefined {
    return this.current.get(endpointId);
  }

  subscribers(): Iterable<Subscriber> {
    return this.current.values();
  }

  /** Puts an endpoint into the set, or another state of it in its place. */
  set(view: EndpointView, names: readonly string[], nowMs: number): SetChange {
    const before = this.current.get(view.endpointId);
    const since = (name: string): number => before?.subscriptions.get(name) ?? nowMs;
    const subscriptions = new Map(names.map((name) => [name, since(name)]));
    const wasEnabled = before !== undefined && before.view.state !== 'disabled';
    const isEnabled = !wasEnabled && view.state !== 'disabled';
    const enabledAt = isEnabled ? this.revision + 1 : (before?.enabledAt ?? 0);
    this.end(before, names, nowMs);
    const subscriber = { view, subscriptions, enabledAt };
    this.current.set(view.endpointId, subscriber);
    return this.change(view.endpointId, subscriber);
  }

  remove(endpointId: string, nowMs: number): SetChange {
    this.end(this.current.get(endpointId), [], nowMs);
    this.current.delete(endpointId);
    return this.change(endpointId, undefined);
  }

  /** Says whether the endpoint is to get the event: it has subscribed since before it. */
  mustGet(endpointId: string, event: LogEvent): boolean {
    return subscribes(this.current.get(endpointId), event);
  }

  /** Says whether the endpoint may get the event: it had subscribed when that happened. */
  mayGet(endpointId: string, event: LogEvent): boolean {
    if (this.mustGet(endpointId, event)) return true;
    const { type, recordedAtMs } = event;
    return (this.past.get(endpointId) ?? []).some(({ name, fromMs, toMs }) => {
      const isNamed = name === type || name === EVERY_EVENT;
      return isNamed && fromMs <= recordedAtMs && toMs >= recordedAtMs;
    });
  }

  private change(endpointId: string, subscriber: Subscriber | undefined): SetChange {
    this.revision += 1;
    return { revision: this.revision, endpointId, subscriber };
  }

  private end(before: Subscriber | undefined, names: readonly string[], nowMs: number): void {
    if (before === undefined) return;
    const past = this.past.get(before.view.endpointId) ?? [];
    for (const [name, fromMs] of before.subscriptions) {
      if (!names.includes(name)) past.push({ name, fromMs, toMs: nowMs });
    }
    this.past.set(before.view.endpointId, past);
  }
}
