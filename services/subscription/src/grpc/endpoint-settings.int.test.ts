import { createSecretBox } from '@billhook/secrets';
import { describe, expect, test } from 'vitest';
import { refusal, useSubscriptions } from '../testing/subscription-service.ts';
import type { Copy } from '../testing/subscription-service.ts';

const subscriptions = useSubscriptions();
const UNKNOWN_ID = `ep_${'0'.repeat(32)}`;

const limits = {
  rateLimit: 2.5,
  timeout: { seconds: 1n, nanos: 500_000_000 },
  maxInFlight: 7,
  circuitFailures: 3,
  circuitLongestWait: { seconds: 5n, nanos: 0 },
};
const noLimits = {
  rateLimit: undefined,
  timeout: undefined,
  maxInFlight: undefined,
  circuitFailures: undefined,
  circuitLongestWait: undefined,
};
const LIMIT_PATHS = [
  'rate_limit',
  'timeout',
  'max_in_flight',
  'circuit_failures',
  'circuit_longest_wait',
];

async function registerOne(copy: Copy, path: string): Promise<string> {
  const { endpoint } = await copy.register(`http://127.0.0.1:9/${path}`, 'a');
  return endpoint.endpointId;
}

/** An endpoint as a watcher sees it first. */
async function watched(copy: Copy, endpointId: string) {
  const { message } = await copy.watch().next();
  const endpoint = message?.value.endpoints.find((each) => each.endpointId === endpointId);
  if (endpoint === undefined) throw new Error('The endpoint is not in the first chunk');
  return endpoint;
}

async function watchedHeaders(copy: Copy, endpointId: string) {
  const { encryptedHeaders } = await watched(copy, endpointId);
  const box = createSecretBox(subscriptions.config.secretKeys);
  return encryptedHeaders.length === 0 ? [] : box.decryptHeaders(encryptedHeaders, endpointId);
}

describe('the limits of an endpoint', () => {
  test('are none by default, are set, shown and watched, and taken back', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'limits');
    expect(await copy.get(endpointId)).toMatchObject(noLimits);
    expect(await watched(copy, endpointId)).toMatchObject(noLimits);

    const limited = await copy.update({ endpointId, ...limits });
    expect(limited).toMatchObject(limits);
    expect(await copy.get(endpointId)).toEqual(limited);
    expect(await watched(copy, endpointId)).toMatchObject(limits);

    const revision = await copy.revision();
    expect(await copy.update({ endpointId, ...limits })).toEqual(limited);
    expect(await copy.revision()).toBe(revision);

    const one = await copy.update({ endpointId, updateMask: ['timeout'] });
    expect(one).toMatchObject({ ...limits, timeout: undefined });
    const none = await copy.update({ endpointId, updateMask: LIMIT_PATHS });
    expect(none).toMatchObject(noLimits);
    expect(await watched(copy, endpointId)).toMatchObject(noLimits);
  });

  test.each([
    [{ rateLimit: 0 }, 'rate_limit RATE_LIMIT_INVALID'],
    [{ rateLimit: -1 }, 'rate_limit RATE_LIMIT_INVALID'],
    [{ rateLimit: 10_001 }, 'rate_limit RATE_LIMIT_INVALID'],
    [{ rateLimit: Number.NaN }, 'rate_limit RATE_LIMIT_INVALID'],
    [{ rateLimit: Number.POSITIVE_INFINITY }, 'rate_limit RATE_LIMIT_INVALID'],
    [{ timeout: { seconds: 0n, nanos: 0 } }, 'timeout TIMEOUT_INVALID'],
    [{ timeout: { seconds: 0n, nanos: 99_000_000 } }, 'timeout TIMEOUT_INVALID'],
    [{ timeout: { seconds: 15n, nanos: 1_000_000 } }, 'timeout TIMEOUT_INVALID'],
    [{ timeout: { seconds: 1n, nanos: 1 } }, 'timeout TIMEOUT_INVALID'],
    [{ timeout: { seconds: 1n, nanos: -1_000_000 } }, 'timeout TIMEOUT_INVALID'],
    [{ timeout: { seconds: 9_000_000_000_000_000n, nanos: 0 } }, 'timeout TIMEOUT_INVALID'],
    [{ maxInFlight: 0 }, 'max_in_flight MAX_IN_FLIGHT_INVALID'],
    [{ maxInFlight: -1 }, 'max_in_flight MAX_IN_FLIGHT_INVALID'],
    [{ maxInFlight: 1_001 }, 'max_in_flight MAX_IN_FLIGHT_INVALID'],
    [{ circuitFailures: 0 }, 'circuit_failures CIRCUIT_FAILURES_INVALID'],
    [{ circuitFailures: 1_000_001 }, 'circuit_failures CIRCUIT_FAILURES_INVALID'],
    [
      { circuitLongestWait: { seconds: 0n, nanos: 0 } },
      'circuit_longest_wait CIRCUIT_LONGEST_WAIT_INVALID',
    ],
    [
      { circuitLongestWait: { seconds: 1n, nanos: 1 } },
      'circuit_longest_wait CIRCUIT_LONGEST_WAIT_INVALID',
    ],
    [
      { circuitLongestWait: { seconds: 3_600n, nanos: 1_000_000 } },
      'circuit_longest_wait CIRCUIT_LONGEST_WAIT_INVALID',
    ],
  ])('are refused: %o', async (fields, violation) => {
    const copy = await subscriptions.start();
    expect((await refusal(copy.update({ endpointId: UNKNOWN_ID, ...fields })))[1]).toBe(violation);
  });

  test('may have the longest time-out that is configured', async () => {
    const copy = await subscriptions.start({ deliveryTimeoutMs: 2_000 });
    const endpointId = await registerOne(copy, 'longest');
    const longest = { endpointId, timeout: { seconds: 2n, nanos: 0 } };
    expect(await copy.update(longest)).toMatchObject(longest);
    const longer = copy.update({ endpointId, timeout: { seconds: 2n, nanos: 1_000_000 } });
    await expect(longer).rejects.toThrow('from 100 ms to 2000 ms (BILLHOOK_DELIVERY_TIMEOUT)');
  });
});

describe('the headers of an endpoint', () => {
  const headers = [
    { name: 'X-Key', value: 'hidden-key' },
    { name: 'authorization', value: 'Bearer hidden-token' },
  ];
  const sorted = [
    { name: 'authorization', value: 'Bearer hidden-token' },
    { name: 'x-key', value: 'hidden-key' },
  ];

  test('are shown by their names, and given to dispatchers encrypted', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'headers');
    const updated = await copy.update({ endpointId, headers });
    expect(updated.headerNames).toEqual(['authorization', 'x-key']);
    expect(await copy.get(endpointId)).toEqual(updated);
    expect(await watchedHeaders(copy, endpointId)).toEqual(sorted);
    await copy.update({ endpointId, description: 'They stay' });
    expect(await watchedHeaders(copy, endpointId)).toEqual(sorted);
  });

  test('change the endpoint only when a name or a value is another one', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'same');
    await copy.update({ endpointId, headers });
    const revision = await copy.revision();
    await copy.update({ endpointId, headers: sorted });
    expect(await copy.revision()).toBe(revision);
    const [first] = sorted;
    const others = [{ name: 'x-key', value: 'another' }, ...(first === undefined ? [] : [first])];
    await copy.update({ endpointId, headers: others });
    expect(await copy.revision()).toBe(revision + 1);
    expect(await watchedHeaders(copy, endpointId)).toContainEqual(others[0]);
  });

  test('are taken away by a mask that names them, and with the endpoint', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'away');
    await copy.update({ endpointId, headers });
    const cleared = await copy.update({ endpointId, updateMask: ['headers'] });
    expect(cleared.headerNames).toEqual([]);
    expect(await watchedHeaders(copy, endpointId)).toEqual([]);
    expect(await countHeaders(endpointId)).toBe(0);
    await copy.update({ endpointId, headers });
    expect(await countHeaders(endpointId)).toBe(1);
    await copy.unregister('http://127.0.0.1:9/away', 'a');
    expect(await countHeaders(endpointId)).toBe(0);
  });

  test('of many updates at once are those of one of them, as the last event says', async () => {
    const copy = await subscriptions.start();
    const other = await subscriptions.start();
    const endpointId = await registerOne(copy, 'race');
    const updates = Array.from({ length: 40 }, (_, number) =>
      (number % 2 === 0 ? copy : other).update({
        endpointId,
        headers: [{ name: `x-${number % 5}`, value: `${number}` }],
      }),
    );
    await Promise.all(updates);
    const [kept] = await watchedHeaders(copy, endpointId);
    expect((await copy.get(endpointId)).headerNames).toEqual([kept?.name]);
    expect(kept?.name).toBe(`x-${Number(kept?.value) % 5}`);
  });

  test('belong to their tenant', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'tenant');
    await copy.update({ endpointId, headers });
    const foreign = copy.update({ endpointId, updateMask: ['headers'] }, 'other');
    expect(await refusal(foreign)).toEqual(['NOT_FOUND ENDPOINT_NOT_FOUND']);
    expect(await watchedHeaders(copy, endpointId)).toEqual(sorted);
  });

  test('stand nowhere in the database as they are', async () => {
    const { rows } = await subscriptions.pool.query<{ text: string }>(
      `select string_agg(found::text, '') as text from (
         select encode(data, 'escape') from subscription.event
         union all select encode(ciphertext, 'escape') from subscription.headers
         union all select endpoint::text from subscription.endpoint
       ) as found`,
    );
    expect(rows[0]?.text).toContain('authorization');
    expect(rows[0]?.text).not.toContain('hidden');
  });

  test.each([
    [[{ name: 'Host', value: 'x' }], 'headers[0].name HEADER_NAME_RESERVED'],
    [[{ name: 'x', value: 'a\r\nb: c' }], 'headers[0].value HEADER_VALUE_INVALID'],
    [
      [
        { name: 'x', value: 'a' },
        { name: 'X', value: 'a' },
      ],
      'headers[1].name HEADER_NAME_REPEATED',
    ],
  ])('are refused with the place that is wrong: %j', async (given, violation) => {
    const copy = await subscriptions.start();
    const answer = copy.update({ endpointId: UNKNOWN_ID, headers: given });
    expect((await refusal(answer))[1]).toBe(violation);
  });
});

async function countHeaders(endpointId: string): Promise<number> {
  const { rowCount } = await subscriptions.pool.query(
    'select from subscription.headers where endpoint_id = $1',
    [endpointId.slice(3)],
  );
  return rowCount ?? 0;
}
