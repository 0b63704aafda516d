import type { BenchmarkRun, Row, Table } from '../benchmark.ts';
import { ofDefaultTenant, registerEndpoints } from '../systems/endpoints.ts';
import { preloadHistory } from '../systems/history.ts';
import { openServices } from '../systems/services.ts';
import { untilNothingWaits } from '../systems/waiting.ts';
import { AMOUNT, openGrowth } from './growth.ts';

const EVENTS = {
  quick: [10_000, 100_000],
  usual: [100_000, 1_000_000],
  full: [100_000, 1_000_000, 10_000_000],
} as const;

/** More events that were delivered long ago, with all that is kept of them. */
export async function measureHistory(run: BenchmarkRun): Promise<Table> {
  await using growth = await openGrowth(run);
  await using system = await openServices(run);
  await system.start();
  const places = ofDefaultTenant(1);
  const endpoints = await registerEndpoints(system, growth.receiver, places);
  const [endpoint] = endpoints;
  if (endpoint === undefined) throw new Error('there is an endpoint');
  const rows: Row[] = [];
  for (const events of EVENTS[run.size]) {
    run.say(`${events} events`);
    const dispatchers = system.copiesOf('dispatcher');
    await Promise.all(dispatchers.map((copy) => copy.stop('SIGTERM')));
    await preloadHistory(system, { endpoint, events });
    // What the mutations bring is delivered as well.
    await growth.receiver.expect(endpoints);
    const mutations = await growth.mutations(system);
    await system.start(dispatchers);
    // What was created just now is delivered first.
    await untilNothingWaits(system);
    const delivered = { ...places, eventsPerTenant: AMOUNT[run.size] };
    const deliveries = await growth.deliveries({ system, endpoints, events: delivered });
    rows.push({ events, ...mutations, ...deliveries });
  }
  return { title: 'By events in the log', rows };
}
