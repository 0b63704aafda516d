import type { subscriptionV1 } from '@billhook/contracts';
import { expect, test } from 'vitest';
import { refusal, useSubscriptions } from '../testing/subscription-service.ts';
import type { Copy } from '../testing/subscription-service.ts';
import { rebuildEndpoints } from './rebuild-endpoints.ts';

const subscriptions = useSubscriptions();

async function readModel(): Promise<unknown> {
  const { pool } = subscriptions;
  const endpoints = await pool.query('select * from subscription.endpoint order by endpoint_id');
  const registered = await pool.query(
    'select * from subscription.subscription order by endpoint_id, event',
  );
  const secrets = await pool.query('select * from subscription.secret order by secret_id');
  const headers = await pool.query('select * from subscription.headers order by endpoint_id');
  return [endpoints.rows, registered.rows, secrets.rows, headers.rows];
}

/** Everything that can happen to an endpoint, to several of them, many at the same time. */
async function liveThrough(copy: Copy): Promise<void> {
  const lives = Array.from({ length: 20 }, async (_, number) => {
    const url = `http://127.0.0.1:9/${number % 7}`;
    const { endpointId } = (await copy.register(url, `e${number % 3}`)).endpoint;
    await refusal(copy.registerFiltered(url, `f${number % 2}`, { 'data.amount': number }));
    await refusal(copy.change('pauseEndpoint', endpointId));
    await refusal(copy.rotate(endpointId));
    await refusal(copy.disable(endpointId, await copy.revision()));
    await refusal(copy.update({ endpointId, description: `number ${number}` }));
    await refusal(copy.update({ endpointId, ...settingsOf(number) }));
    await refusal(copy.update({ endpointId, url: `${url}/moved/${number % 2}` }));
    if (number % 4 > 0) await refusal(copy.change('enableEndpoint', endpointId));
    await refusal(copy.change('resumeEndpoint', endpointId));
    await refusal(copy.register(`${url}/moved/${number % 2}`, 'f0'));
    await refusal(copy.unregister(`${url}/moved/${number % 2}`, `e${number % 3}`));
  });
  await Promise.all(lives);
  await copy.register('http://127.0.0.1:9/last');
}

/** Every other time what the time before gave is taken back. */
function settingsOf(number: number): Partial<subscriptionV1.UpdateEndpointRequest> {
  const updateMask = [
    'headers',
    'rate_limit',
    'timeout',
    'max_in_flight',
    'circuit_failures',
    'circuit_longest_wait',
  ];
  return number % 2 === 0
    ? { updateMask }
    : {
        headers: [{ name: 'x-number', value: `${number}` }],
        rateLimit: number / 10,
        timeout: { seconds: 0n, nanos: 200_000_000 },
        maxInFlight: number,
        circuitFailures: number,
        circuitLongestWait: { seconds: BigInt(number), nanos: 0 },
      };
}

test('endpoints made anew from their events equal what they were, and keep what is secret', async () => {
  const copy = await subscriptions.start();
  await liveThrough(copy);
  const before = await readModel();
  await subscriptions.pool.query(
    `update subscription.endpoint set url = url || '?', version = 99, renewed_at_revision = 0,
       header_names = '{x}', disabled_at_ms = 1, rate_limit_per_second = 1, timeout_ms = 1, max_in_flight = null,
       circuit_failures = null, circuit_longest_wait_ms = 1`,
  );
  await subscriptions.pool.query('delete from subscription.subscription');
  expect(await readModel()).not.toEqual(before);
  const count = await rebuildEndpoints(subscriptions.pool);
  expect(count).toBeGreaterThan(0);
  expect(await readModel()).toEqual(before);
  expect(await refusal(copy.register('http://127.0.0.1:9/after'))).toEqual(['OK']);
});

test('the events are gapless, and consecutive for each endpoint', async () => {
  const { rows } = await subscriptions.pool.query(
    `select max(position)::int = count(*)::int as gapless,
       bool_and(version = number) as consecutive
     from (select *, row_number() over (partition by stream_id order by position) as number
       from subscription.event) as numbered`,
  );
  expect(rows).toEqual([{ gapless: true, consecutive: true }]);
});
