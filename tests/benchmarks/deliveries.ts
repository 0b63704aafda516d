import { whyNoKafka } from '@billhook/embedded-kafka';
import type { BenchmarkRun, Row, Table } from './benchmark.ts';
import { startRawSender } from './load/raw-sender.ts';
import type { RawSender } from './load/raw-sender.ts';
import {
  cpuSecondsPer1000,
  cpuSecondsPer1000Of,
  inTurns,
  megabytesOf,
  perSecond,
  rateRatio,
} from './measuring/rounds.ts';
import { startReceiver } from './receiver/receiver.ts';
import type { Receiver } from './receiver/receiver.ts';
import { deliverPreloaded } from './systems/deliver-preloaded.ts';
import type { DeliveredEvents } from './systems/deliver-preloaded.ts';
import { registerEndpoints, unregisterEndpoints } from './systems/endpoints.ts';
import { createGate } from './systems/gate.ts';
import { openServices } from './systems/services.ts';
import type { ServiceProcesses } from './systems/services.ts';
import type { EventLogKind } from './systems/storage.ts';

const ENDPOINTS = [1, 10, 100] as const;
/** The same for every number of endpoints, so that a round always takes about as long. */
const DELIVERIES = { quick: 10_000, usual: 200_000, full: 1_000_000 } as const;
const ROUNDS = { quick: 1, usual: 3, full: 5 } as const;
const PORTS = 10;

/**
 * What one dispatcher makes of a log that is full already: POSTs with their results recorded. In turns
 * with it, a process that does nothing but sign and send to the same receiver. On Postgres, and on
 * Kafka where a broker can be had.
 */
export async function measureDeliveries(run: BenchmarkRun): Promise<readonly Table[]> {
  const tables = [await measureLog(run, 'postgres')];
  const missing = await whyNoKafka();
  if (missing === undefined) tables.push(await measureLog(run, 'kafka'));
  else run.say(`Nothing is measured with Kafka. ${missing}`);
  return tables;
}

interface Measured {
  readonly system: ServiceProcesses;
  readonly receiver: Receiver;
  readonly raw: RawSender;
}

async function measureLog(run: BenchmarkRun, log: EventLogKind): Promise<Table> {
  await using system = await openServices(run, { log });
  await using receiver = await startReceiver(run, { ports: PORTS });
  await using raw = await startRawSender(run, receiver);
  await system.start();
  const measured = { system, receiver, raw };
  const rows: Row[] = [];
  for (const endpoints of ENDPOINTS) {
    run.say(`${log}, ${endpoints} endpoints`);
    rows.push(await measureEndpoints(run, measured, { log, endpoints }));
  }
  return { title: `From a full log in ${log === 'kafka' ? 'Kafka' : 'Postgres'}`, rows };
}

async function measureEndpoints(
  run: BenchmarkRun,
  measured: Measured,
  { log, endpoints }: { readonly log: EventLogKind; readonly endpoints: number },
): Promise<Row> {
  const { system, receiver, raw } = measured;
  const deliveries = DELIVERIES[run.size];
  const events: DeliveredEvents = {
    tenants: ['default'],
    perTenant: endpoints,
    eventsPerTenant: deliveries / endpoints,
  };
  const registered = await registerEndpoints(system, receiver, events);
  const gate = createGate(system, log);
  const deliver = () => deliverPreloaded(measured, events, gate);
  const send = () => raw.send(deliveries);
  // So that the machine code of the hot paths is there before anything counts.
  await inTurns(1, [deliver, send]);
  const rounds = run.rounds ?? ROUNDS[run.size];
  const [delivered = [], sent = []] = await inTurns(rounds, [deliver, send]);
  await unregisterEndpoints(system, receiver, registered);
  return {
    log,
    endpoints,
    deliveriesPerSecond: perSecond(delivered),
    rawDeliveriesPerSecond: perSecond(sent),
    ratioToRaw: rateRatio(delivered, sent),
    cpuSecondsPer1000Deliveries: cpuSecondsPer1000(delivered),
    dispatcherCpuSecondsPer1000: cpuSecondsPer1000Of(delivered, 'dispatcher'),
    postgresCpuSecondsPer1000: cpuSecondsPer1000Of(delivered, 'postgres'),
    cpuSecondsPer1000RawDeliveries: cpuSecondsPer1000(sent),
    dispatcherMegabytes: megabytesOf(delivered, 'dispatcher'),
    postgresMegabytes: megabytesOf(delivered, 'postgres'),
  };
}
