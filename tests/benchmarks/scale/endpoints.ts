import type { BenchmarkRun, Row, Table } from '../benchmark.ts';
import type { DeliveredEvents } from '../systems/deliver-preloaded.ts';
import { registerEndpoints } from '../systems/endpoints.ts';
import { openServices } from '../systems/services.ts';
import { AMOUNT, openGrowth } from './growth.ts';

/**
 * Endpoints with a tenant each, so that every event goes to one of them, however many there are; and
 * at last as many in one tenant, so that every event goes to all of them.
 */
const SHAPES = {
  quick: [
    { tenants: 1, perTenant: 1 },
    { tenants: 100, perTenant: 1 },
    { tenants: 1, perTenant: 100 },
  ],
  usual: [
    { tenants: 1, perTenant: 1 },
    { tenants: 100, perTenant: 1 },
    { tenants: 10_000, perTenant: 1 },
    { tenants: 1, perTenant: 10_000 },
  ],
  full: [
    { tenants: 1, perTenant: 1 },
    { tenants: 100, perTenant: 1 },
    { tenants: 1_000, perTenant: 1 },
    { tenants: 10_000, perTenant: 1 },
    { tenants: 1, perTenant: 10_000 },
  ],
} as const;

/** More endpoints, with as many deliveries in each round. */
export async function measureEndpoints(run: BenchmarkRun): Promise<Table> {
  await using growth = await openGrowth(run);
  await using system = await openServices(run);
  await system.start();
  const rows: Row[] = [];
  let registered = 0;
  for (const { tenants, perTenant } of SHAPES[run.size]) {
    run.say(`${tenants} tenants with ${perTenant} endpoints each`);
    const events: DeliveredEvents = {
      tenants: Array.from({ length: tenants }, (_, index) => `tenant-${registered + index}`),
      perTenant,
      eventsPerTenant: AMOUNT[run.size] / (tenants * perTenant),
    };
    const endpoints = await registerEndpoints(system, growth.receiver, events);
    registered += endpoints.length;
    const measured = await growth.deliveries(system, events);
    await growth.receiver.forget(endpoints);
    rows.push({ endpointsInAll: registered, endpointsPerEvent: perTenant, ...measured });
  }
  return { title: 'By endpoints', rows };
}
