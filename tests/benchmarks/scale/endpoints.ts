import type { BenchmarkRun, Row, Table } from '../benchmark.ts';
import { registerEndpoints } from '../systems/endpoints.ts';
import type { EndpointPlaces } from '../systems/endpoints.ts';
import type { MeasuredSystem } from '../systems/measured-system.ts';
import { openServices } from '../systems/services.ts';
import { AMOUNT, openGrowth } from './growth.ts';
import type { Growth, SizedSystem } from './growth.ts';

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

/**
 * More endpoints, with as many deliveries in each round, in turns with a system that stays at one
 * endpoint: a machine that becomes slower meanwhile does so for both.
 */
export async function measureEndpoints(run: BenchmarkRun): Promise<Table> {
  await using growth = await openGrowth(run);
  await using one = await openServices(run);
  await using system = await openServices(run);
  await Promise.all([one.start(), system.start()]);
  const ofOne = await register(growth, one, { tenants: ['one'], perTenant: 1 }, AMOUNT[run.size]);
  const rows: Row[] = [];
  let registered = 0;
  for (const { tenants: count, perTenant } of SHAPES[run.size]) {
    run.say(`${count} tenants with ${perTenant} endpoints each`);
    const tenants = Array.from({ length: count }, (_, index) => `tenant-${registered + index}`);
    const sized = await register(growth, system, { tenants, perTenant }, AMOUNT[run.size]);
    registered += sized.endpoints.length;
    const measured = await growth.deliveries(sized, ofOne);
    rows.push({ endpointsInAll: registered, endpointsPerEvent: perTenant, ...measured });
  }
  return { title: 'By endpoints; the other system has one', rows };
}

/** Registers endpoints that get so many deliveries of a round, together. */
async function register(
  { receiver }: Growth,
  system: MeasuredSystem,
  places: EndpointPlaces,
  deliveries: number,
): Promise<SizedSystem> {
  const endpoints = await registerEndpoints(system, receiver, places);
  // They are expected in their own rounds only.
  await receiver.forget(endpoints);
  const eventsPerTenant = deliveries / endpoints.length;
  return { system, endpoints, events: { ...places, eventsPerTenant } };
}
