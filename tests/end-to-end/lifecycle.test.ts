import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { audit } from '../kills/audit.ts';
import { startEndpoints } from '../kills/endpoints.ts';
import { startMutations } from '../kills/mutations.ts';
import { connect } from '../system/connection.ts';
import { createStandalone } from '../system/standalone.ts';
import type { Standalone } from '../system/standalone.ts';

/** Far more than a start takes on an idle machine. */
const SOON_MS = 15_000;
const STOPS = 5;
const CLIENTS = 8;
const DRAIN_TIMEOUT_MS = 60_000;

describe('a system on one machine', () => {
  let system: Standalone;
  let cleanUp: AsyncDisposableStack;

  beforeEach(async () => {
    cleanUp = new AsyncDisposableStack();
    system = await createStandalone({ BILLHOOK_RETRY_SCHEDULE: '100ms,200ms,1s,1s,1s,1s,1s' });
    cleanUp.defer(() => system.remove());
    await system.start();
  });
  afterEach(() => cleanUp.disposeAsync());

  test('says where it listens, and then that it is ready', () => {
    const { gateway, invoice, subscription, delivery } = system.addresses;
    expect(system.output.slice(0, -1).toSorted()).toEqual([
      `dispatcher listening on ${delivery}`,
      `gateway listening on ${gateway}`,
      `invoice listening on ${invoice}`,
      `subscription listening on ${subscription}`,
    ]);
    expect(system.output.at(-1)).toBe('Billhook is ready');
  });

  test('is not started twice on one folder', async () => {
    const second = await system.startAgain();

    expect(second.exitCode).toBeGreaterThan(0);
    expect(second.log).toContain('already running');
    expect((await fetch(`http://${system.addresses.gateway}/readyz`)).status).toBe(200);
  });

  test.for([[['SIGTERM']], [['SIGINT']], [['SIGINT', 'SIGINT']], [['SIGINT', 'SIGTERM']]] as const)(
    'ends with 0 and without its Postgres on %o, and starts again soon',
    async ([signals]) => {
      const postgres = await system.postgresPid();

      expect(await system.stop(...signals)).toBe(0);
      // Its last act is to remove its pid file; the operating system forgets it a moment later.
      await expect.poll(() => isAlive(postgres), { timeout: SOON_MS }).toBe(false);

      const startedAtMs = performance.now();
      await system.start();
      expect(performance.now() - startedAtMs).toBeLessThan(SOON_MS);
    },
  );

  test(`loses nothing and sends nothing twice over ${STOPS} stops under load`, async () => {
    const endpoints = await startEndpoints(['healthy', 'healthy', 'failing']);
    cleanUp.defer(() => endpoints.close());
    const billhook = connect(system.addresses);
    cleanUp.defer(() => billhook.close());
    for (const url of endpoints.urls) await billhook.rest.register('*', url);

    const mutations = startMutations(billhook.invoices, { clients: CLIENTS });
    for (let stop = 0; stop < STOPS; stop += 1) {
      await sleep(1_000);
      expect(await system.stop('SIGTERM')).toBe(0);
      await system.start();
    }
    await mutations.finish();
    endpoints.mend();
    const { acknowledged } = mutations;
    await endpoints.waitForAll(acknowledged, DRAIN_TIMEOUT_MS);

    expect(mutations.refusals).toEqual([]);
    const { arrivals, names } = endpoints;
    expect(audit({ acknowledged, endpoints: names, arrivals, killedAtMs: [] })).toEqual({
      missing: [],
      reordered: [],
      differing: [],
      duplicates: [],
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
