import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { audit } from '../kills/audit.ts';
import { startEndpoints } from '../kills/endpoints.ts';
import { startMutations } from '../kills/mutations.ts';
import { createClusterSystem } from '../system/cluster.ts';
import { connect } from '../system/connection.ts';
import { canHaveSystem } from '../system/create-system.ts';
import { startRegistrations } from './registrations.ts';

const SETTINGS = { BILLHOOK_RETRY_SCHEDULE: Array<string>(50).fill('200ms').join(',') };
const LOAD = { clients: 4, pauseMs: 20 };
/** As often as the clients in `libs/grpc` do. */
const ATTEMPTS = 4;
const CALM_MS = 500;
const DRAIN_TIMEOUT_MS = 60_000;

test.skipIf(!canHaveSystem())(
  'copies restarted one after the other lose nothing, send nothing twice, and fail no call',
  async () => {
    await using cleanUp = new AsyncDisposableStack();
    const endpoints = await startEndpoints(['healthy', 'healthy', 'failing', 'slow']);
    cleanUp.defer(() => endpoints.close());
    const system = await createClusterSystem(SETTINGS);
    cleanUp.defer(() => system.remove());
    await system.start();
    const billhook = connect(system.addresses, { attempts: ATTEMPTS });
    cleanUp.defer(() => billhook.close());
    for (const url of endpoints.urls) await billhook.rest.register('*', url);

    const mutations = startMutations(billhook.invoices, LOAD);
    const registrations = startRegistrations(billhook.rest, endpoints.urls, ATTEMPTS);
    const exitCodes: (number | undefined)[] = [];
    for (const copy of system.copies) {
      await sleep(CALM_MS);
      exitCodes.push(await copy.stop('SIGTERM'));
      await copy.start();
    }
    await registrations.finish();
    await mutations.finish();
    endpoints.mend();
    const { acknowledged, refusals } = mutations;
    await endpoints.waitForAll(acknowledged, DRAIN_TIMEOUT_MS);

    expect(exitCodes).toEqual(system.copies.map(() => 0));
    expect({ refusals, failures: mutations.failures() }).toEqual({ refusals: [], failures: 0 });
    expect(registrations.failures).toEqual([]);
    const { arrivals, names } = endpoints;
    expect(audit({ acknowledged, endpoints: names, arrivals, killedAtMs: [] })).toEqual({
      missing: [],
      reordered: [],
      differing: [],
      duplicates: [],
    });
  },
);
