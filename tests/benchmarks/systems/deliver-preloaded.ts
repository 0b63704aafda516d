import { secondsSince } from '../measuring/clock.ts';
import { startCost } from '../measuring/cost.ts';
import type { Sample } from '../measuring/rounds.ts';
import type { Receiver } from '../receiver/receiver.ts';
import type { MeasuredSystem } from './measured-system.ts';
import { preloadEvents } from './preload.ts';
import type { Preloaded } from './preload.ts';
import { untilNothingWaits } from './waiting.ts';

export interface DeliveredEvents extends Preloaded {
  /** The endpoints of each tenant. */
  readonly perTenant: number;
}

/** Keeps the dispatcher from sending while a log is made ready. */
export interface Gate {
  close(): Promise<void>;
  /** Waits until the dispatcher could read everything. */
  untilReadable(): Promise<void>;
  open(): Promise<void>;
}

/**
 * Delivers events that are in the log already. The cost counts from when the dispatcher may send them;
 * the time from the first webhook, because it may take a moment to notice; both until the last one has
 * been received and everything is recorded.
 *
 * @param gate none where it is enough that the events become visible all at once.
 */
export async function deliverPreloaded(
  { system, receiver }: { readonly system: MeasuredSystem; readonly receiver: Receiver },
  events: DeliveredEvents,
  gate?: Gate,
): Promise<Sample> {
  await receiver.reset();
  let endCost = startCost({});
  const begin = () => {
    endCost = startCost(system.processes());
  };
  if (gate === undefined) {
    await preloadEvents(system, events, begin);
  } else {
    await gate.close();
    await preloadEvents(system, events);
    await gate.untilReadable();
    begin();
    await gate.open();
  }
  const { firstAtMicros } = await receiver.waitFor(events.eventsPerTenant);
  await untilNothingWaits(system);
  const seconds = secondsSince(firstAtMicros);
  return { units: deliveriesOf(events), seconds, cost: endCost() };
}

export function deliveriesOf({ tenants, perTenant, eventsPerTenant }: DeliveredEvents): number {
  return tenants.length * perTenant * eventsPerTenant;
}
