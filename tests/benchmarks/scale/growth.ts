import type { BenchmarkRun, Row } from '../benchmark.ts';
import { openInvoiceLoad } from '../load/invoices.ts';
import { startRawSender } from '../load/raw-sender.ts';
import { startCost } from '../measuring/cost.ts';
import {
  costRatio,
  cpuSecondsPer1000,
  inTurns,
  megabytesOf,
  perSecond,
} from '../measuring/rounds.ts';
import type { Sample } from '../measuring/rounds.ts';
import { startReceiver } from '../receiver/receiver.ts';
import type { Receiver } from '../receiver/receiver.ts';
import { deliveriesOf, deliverPreloaded } from '../systems/deliver-preloaded.ts';
import type { DeliveredEvents } from '../systems/deliver-preloaded.ts';
import type { MeasuredEndpoint } from '../systems/endpoints.ts';
import type { MeasuredSystem } from '../systems/measured-system.ts';

/** A system of some size, and the events that it delivers in a round. */
export interface SizedSystem {
  readonly system: MeasuredSystem;
  readonly endpoints: readonly MeasuredEndpoint[];
  readonly events: DeliveredEvents;
}

/** What is measured at each size of a system. */
export interface Growth extends AsyncDisposable {
  readonly receiver: Receiver;
  /**
   * Deliveries of events that are in the log; in turns with a process that does nothing but send, and
   * with another system, where there is one to compare with.
   */
  deliveries(sized: SizedSystem, other?: SizedSystem): Promise<Row>;
  /** Invoices created over gRPC. */
  mutations(system: MeasuredSystem): Promise<Row>;
}

/** How many deliveries, and how many mutations, a round has. */
export const AMOUNT = { quick: 10_000, usual: 100_000, full: 100_000 } as const;
const MUTATIONS = { quick: 4_000, usual: 40_000, full: 40_000 } as const;
const ROUNDS = { quick: 1, usual: 3, full: 5 } as const;
const CONCURRENCY = 128;
const PORTS = 16;

/** Starts the receiver and the raw sender, which stay the same whatever grows. */
export async function openGrowth(run: BenchmarkRun): Promise<Growth> {
  const opened = new AsyncDisposableStack();
  run.opened.use(opened);
  const receiver = opened.use(await startReceiver(run, { ports: PORTS }));
  const raw = opened.use(await startRawSender(run, receiver));
  const rounds = run.rounds ?? ROUNDS[run.size];

  async function deliver({ system, endpoints, events }: SizedSystem): Promise<Sample> {
    await receiver.expect(endpoints);
    const delivered = await deliverPreloaded({ system, receiver }, events);
    await receiver.forget(endpoints);
    return delivered;
  }

  return {
    receiver,
    async deliveries(sized, other) {
      const send = () => raw.send(deliveriesOf(sized.events));
      const measures = [() => deliver(sized), send];
      if (other !== undefined) measures.push(() => deliver(other));
      await inTurns(1, measures);
      const [delivered = [], sent = [], compared = []] = await inTurns(rounds, measures);
      return {
        deliveriesPerSecond: perSecond(delivered),
        cpuSecondsPer1000Deliveries: cpuSecondsPer1000(delivered),
        ...(other !== undefined && { timesTheCostOfTheOther: costRatio(delivered, compared) }),
        rawDeliveriesPerSecond: perSecond(sent),
        cpuSecondsPer1000RawDeliveries: cpuSecondsPer1000(sent),
        dispatcherMegabytes: megabytesOf(delivered, 'dispatcher'),
      };
    },
    async mutations(system) {
      using load = openInvoiceLoad(system.addresses.invoice);
      const create = async (): Promise<Sample> => {
        const endCost = startCost(system.processes());
        const mutations = MUTATIONS[run.size];
        const { seconds } = await load.create({ mutations, concurrency: CONCURRENCY });
        return { units: mutations, seconds, cost: endCost() };
      };
      await create();
      const [created = []] = await inTurns(rounds, [create]);
      return {
        mutationsPerSecond: perSecond(created),
        cpuSecondsPer1000Mutations: cpuSecondsPer1000(created),
        invoiceMegabytes: megabytesOf(created, 'invoice'),
      };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
