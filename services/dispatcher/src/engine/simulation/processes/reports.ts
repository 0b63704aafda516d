import type { SimulatedProcess } from './process.ts';
import type { Surroundings } from '../surroundings.ts';
import type { SimulatedWatch } from './watch.ts';

const REPORT_MS = 50;

/** Tells the subscription service of endpoints that answered 410, as `dispatching/effects.ts` does. */
export class SimulatedReports {
  private readonly around: Surroundings;
  private readonly watch: SimulatedWatch;
  private readonly disable: (endpointId: string) => void;

  /** @param disable changes the set of endpoints. */
  constructor(around: Surroundings, watch: SimulatedWatch, disable: (endpointId: string) => void) {
    this.around = around;
    this.watch = watch;
    this.disable = disable;
  }

  report(process: SimulatedProcess, endpointId: string, revision: number): void {
    const { timeline, dice, endpoints } = this.around;
    timeline.later(dice(`report ${process.name}`) * REPORT_MS, {
      process,
      isAtServer: true,
      run: () => {
        const subscriber = endpoints.get(endpointId);
        if (subscriber === undefined) return;
        // What was seen before it was enabled is nothing new.
        const isNews = subscriber.enabledAt <= revision;
        if (isNews && subscriber.view.state === 'active') this.disable(endpointId);
        // No change may come that says how it stands.
        this.watch.awaitCurrent(process, () => process.see([endpointId]));
      },
    });
  }
}
