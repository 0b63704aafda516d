import type { BenchmarkRun, Row, Table } from '../benchmark.ts';
import { ofDefaultTenant, registerEndpoints } from '../systems/endpoints.ts';
import { openServices } from '../systems/services.ts';
import { untilNothingWaits } from '../systems/waiting.ts';
import { AMOUNT, openGrowth } from './growth.ts';
import type { Growth } from './growth.ts';

const LANES = { quick: [16], usual: [16, 64], full: [16, 64] } as const;
/** Of the invoice service, and as many of the dispatcher. */
const PROCESSES = { quick: [1, 2], usual: [1, 2, 4], full: [1, 2, 4, 8] } as const;
const ENDPOINTS = 10;

/** More processes of both services that do the work, and more lanes. */
export async function measureProcesses(run: BenchmarkRun): Promise<Table> {
  await using growth = await openGrowth(run);
  const rows: Row[] = [];
  for (const lanes of LANES[run.size]) {
    for (const processes of PROCESSES[run.size]) {
      run.say(`${lanes} lanes, ${processes} processes`);
      rows.push({ lanes, processes, ...(await measureAt(run, growth, { lanes, processes })) });
    }
  }
  return { title: 'By processes of each of the two services, and lanes', rows };
}

async function measureAt(
  run: BenchmarkRun,
  growth: Growth,
  { lanes, processes }: { readonly lanes: number; readonly processes: number },
): Promise<Row> {
  const copies = { invoice: processes, dispatcher: processes };
  await using system = await openServices(run, { lanes, copies });
  await system.start(system.copiesOf('invoice'));
  const mutations = await growth.mutations(system);
  await system.start([...system.copiesOf('subscription'), ...system.copiesOf('dispatcher')]);
  // It passes over what was created before there were endpoints.
  await untilNothingWaits(system);
  const places = ofDefaultTenant(ENDPOINTS);
  const endpoints = await registerEndpoints(system, growth.receiver, places);
  const events = { ...places, eventsPerTenant: AMOUNT[run.size] / ENDPOINTS };
  const deliveries = await growth.deliveries({ system, endpoints, events });
  return { ...mutations, ...deliveries };
}
