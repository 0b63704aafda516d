import type { LogEvent } from '../../delivery.ts';
import type { EndpointView } from '../../endpoint.ts';
import { subscribes, type SetChange, type Subscriber } from '../servers/endpoint-set.ts';
import type { SimulatedProcess } from './process.ts';
import type { Surroundings } from '../surroundings.ts';

const WATCH_MS = 60;
const ASK_MS = 10;

/** The set of endpoints as one process sees it: as it was at a revision. */
export class SimulatedView {
  revision = 0;
  /** Nothing of the watch comes before. */
  cutUntilMs = -Infinity;
  /** When the last change comes that is on its way. */
  lastMs = -Infinity;
  private readonly seen = new Map<string, Subscriber>();
  private waiting: { readonly revision: number; run(): void }[] = [];

  endpoint(endpointId: string): EndpointView | undefined {
    return this.seen.get(endpointId)?.view;
  }

  matches(endpointId: string, event: LogEvent): boolean {
    return subscribes(this.seen.get(endpointId), event);
  }

  matching(event: LogEvent): EndpointView[] {
    const matching = [...this.seen.values()].filter((subscriber) => subscribes(subscriber, event));
    return matching.map(({ view }) => view);
  }

  apply(changes: readonly SetChange[], revision: number): void {
    for (const { endpointId, subscriber } of changes) {
      if (subscriber === undefined) this.seen.delete(endpointId);
      else this.seen.set(endpointId, subscriber);
    }
    this.revision = revision;
  }

  /** Runs it once the view has reached a revision. */
  whenAt(revision: number, run: () => void): void {
    if (this.revision >= revision) run();
    else this.waiting.push({ revision, run });
  }

  /** Lets those go on that waited for this view. */
  release(): void {
    const reached = this.waiting.filter(({ revision }) => revision <= this.revision);
    this.waiting = this.waiting.filter(({ revision }) => revision > this.revision);
    for (const waiting of reached) waiting.run();
  }
}

/** Shows processes how the set of endpoints changes, each a little later, and in order. */
export class SimulatedWatch {
  private readonly around: Surroundings;

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** A process begins to watch: it sees the whole set at once. */
  begin(process: SimulatedProcess): void {
    const { endpoints } = this.around;
    const { revision } = endpoints;
    const snapshot = [...endpoints.subscribers()].map((subscriber) => {
      return { revision, endpointId: subscriber.view.endpointId, subscriber };
    });
    this.show(process, snapshot, revision);
  }

  changed(process: SimulatedProcess, change: SetChange): void {
    this.show(process, [change], change.revision);
  }

  /** Runs it once the view is as new as the set was when this was asked. */
  awaitCurrent(process: SimulatedProcess, run: () => void): void {
    const { timeline, dice, endpoints } = this.around;
    timeline.later(dice(`ask ${process.name}`) * ASK_MS, {
      process,
      isAtServer: true,
      run: () => {
        const { revision } = endpoints;
        timeline.later(dice(`ask ${process.name}`) * ASK_MS, {
          process,
          run: () => process.view.whenAt(revision, run),
        });
      },
    });
  }

  private show(process: SimulatedProcess, changes: readonly SetChange[], revision: number): void {
    const { timeline, dice } = this.around;
    const { view } = process;
    const inMs = dice(`watch ${process.name}`) * WATCH_MS;
    view.lastMs = Math.max(view.lastMs, view.cutUntilMs, timeline.nowMs + inMs);
    timeline.later(view.lastMs - timeline.nowMs, {
      process,
      run: () => {
        view.apply(changes, revision);
        process.see(changes.map(({ endpointId }) => endpointId));
        view.release();
      },
    });
  }
}
