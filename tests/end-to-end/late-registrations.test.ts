import { afterEach, beforeEach, test } from 'vitest';
import { raceFilters } from '../system/filter-race.ts';
import { startLateProxy } from '../system/late-proxy.ts';
import { raceRegistrations } from '../system/registration-race.ts';
import { createSeparateServices } from '../system/separate-services.ts';

/** So late that a mutation is done and read before; well below what makes a dispatcher look again. */
const LATE_MS = 100;

let cleanUp: AsyncDisposableStack;
beforeEach(() => {
  cleanUp = new AsyncDisposableStack();
});
afterEach(() => cleanUp.disposeAsync());

test('a registration and its filter count at once, also when the dispatcher hears late of it', async () => {
  const proxy = await startLateProxy(LATE_MS);
  cleanUp.defer(() => proxy.close());
  const lateWay = { BILLHOOK_SUBSCRIPTION_ADDR: proxy.address };
  const system = await createSeparateServices({}, { dispatcher: lateWay });
  cleanUp.defer(() => system.remove());
  proxy.leadTo(system.addresses.subscription);
  await system.start();

  await raceRegistrations(system, {
    loops: 10,
    rounds: 5,
  });
  await raceFilters(system, 10);
});
