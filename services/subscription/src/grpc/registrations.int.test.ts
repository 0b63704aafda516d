import { call } from '@billhook/grpc';
import { describe, expect, test } from 'vitest';
import { refusal, useSubscriptions } from '../testing/subscription-service.ts';

const subscriptions = useSubscriptions();

/** How many of each the database holds for a URL. */
async function countRows(url: string): Promise<unknown> {
  const { rows } = await subscriptions.pool.query(
    `select count(distinct endpoint_id)::int as endpoints,
       count(distinct (endpoint_id, event))::int as subscriptions,
       count(distinct secret_id)::int as secrets
     from subscription.endpoint
     left join subscription.subscription using (endpoint_id)
     left join subscription.secret using (endpoint_id)
     where url = $1`,
    [url],
  );
  return rows[0];
}

describe('registering', () => {
  test('makes the endpoint, and shows its secret this once', async () => {
    const copy = await subscriptions.start();
    const { endpoint, subscription, secret } = await copy.register('http://127.0.0.1:9/a#x', 'a');
    expect(endpoint).toMatchObject({
      endpointId: expect.stringMatching(/^ep_[0-9a-f]{32}$/),
      url: 'http://127.0.0.1:9/a',
      state: 'ENDPOINT_STATE_ACTIVE',
      paused: false,
      disabledReason: '',
      description: '',
      events: ['a'],
    });
    expect(subscription).toMatchObject({
      endpointId: endpoint.endpointId,
      event: 'a',
      url: 'http://127.0.0.1:9/a',
    });
    const registeredAtMs = Number(subscription.registeredAt?.seconds) * 1_000;
    expect(Math.abs(registeredAtMs - Date.now())).toBeLessThan(60_000);
    expect(secret).toMatch(/^whsec_/);

    const revision = await copy.revision();
    const again = await copy.register('HTTP://127.0.0.1:9/b/../a', 'a');
    expect(again).toEqual({ endpoint, subscription, secret: '' });
    expect(await copy.revision()).toBe(revision);
    const more = await copy.register('http://127.0.0.1:9/a', '*');
    expect(more.endpoint.events).toEqual(['*', 'a']);
    expect(more.secret).toBe('');
  });

  test('is safe from a hundred callers at once, through two copies', async () => {
    const copies = [await subscriptions.start(), await subscriptions.start()];
    const url = 'http://127.0.0.1:9/parallel';
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => copies.map((copy) => copy.register(url, 'a'))).flat(),
    );
    expect(new Set(answers.map(({ endpoint }) => endpoint.endpointId)).size).toBe(1);
    expect(answers.filter(({ secret }) => secret !== '')).toHaveLength(1);
    expect(await countRows(url)).toEqual({ endpoints: 1, subscriptions: 1, secrets: 1 });
  });

  test('belongs to a tenant', async () => {
    const copy = await subscriptions.start();
    const url = 'http://127.0.0.1:9/tenants';
    const mine = await copy.register(url, 'a', 'one');
    const theirs = await copy.register(url, 'a', 'two');
    expect(theirs.endpoint.endpointId).not.toBe(mine.endpoint.endpointId);
    expect(theirs.secret).toMatch(/^whsec_/);
    expect(await refusal(copy.get(mine.endpoint.endpointId, 'two'))).toEqual([
      'NOT_FOUND ENDPOINT_NOT_FOUND',
    ]);
  });

  test('enables a disabled endpoint by any event, and does not resume a paused one', async () => {
    const copy = await subscriptions.start();
    const url = 'http://127.0.0.1:9/enable';
    const { endpointId } = (await copy.register(url, 'a')).endpoint;
    await copy.change('pauseEndpoint', endpointId);
    const off = await copy.disable(endpointId, await copy.revision());
    const isDisabled = { state: 'ENDPOINT_STATE_DISABLED', disabledReason: 'gone' };
    expect(off).toMatchObject({ ...isDisabled, paused: true });
    const { endpoint } = await copy.register(url, 'b');
    expect(endpoint).toMatchObject({ state: 'ENDPOINT_STATE_PAUSED', disabledReason: '' });
  });

  test.each([
    ['', 'http://127.0.0.1/', 'event EVENT_REQUIRED'],
    ['1a', 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['a b', 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['a'.repeat(129), 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['**', 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['a\n', 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['a\r\nx: y', 'http://127.0.0.1/', 'event EVENT_INVALID'],
    ['a', 'http://127.0.0.1/\r\nx: y', 'url URL_HAS_WHITESPACE'],
    ['a', '', 'url URL_REQUIRED'],
    ['a', '/webhook', 'url URL_NOT_ABSOLUTE'],
    ['a', 'ftp://127.0.0.1/', 'url URL_SCHEME_UNSUPPORTED'],
    ['a', 'http://me:pw@127.0.0.1/', 'url URL_HAS_CREDENTIALS'],
    ['a', `http://127.0.0.1/${'x'.repeat(2_048)}`, 'url URL_TOO_LONG'],
    ['a', 'http://127.0.0.1/\u0000', 'url URL_HAS_WHITESPACE'],
    ['a', 'http://10.0.0.1/', 'url DESTINATION_REFUSED'],
    ['a', 'http://169.254.169.254/latest/meta-data', 'url DESTINATION_REFUSED'],
    ['a', 'http://0xa000001/', 'url DESTINATION_REFUSED'],
    ['a', 'http://[::ffff:10.0.0.1]/', 'url DESTINATION_REFUSED'],
    ['a', 'http://[fd00::1]/', 'url DESTINATION_REFUSED'],
  ])('of %j at %j is refused', async (event, url, violation) => {
    const copy = await subscriptions.start();
    const reason = violation.split(' ')[1];
    expect(await refusal(copy.register(url, event))).toEqual([
      `INVALID_ARGUMENT ${reason}`,
      violation,
    ]);
  });

  test('keeps to https and to ports where that is asked for', async () => {
    const strict = await subscriptions.start({
      requireHttps: true,
      destinationPorts: [{ first: 443, last: 443 }],
    });
    for (const [url, reason] of [
      ['http://127.0.0.1:443/', 'HTTPS_REQUIRED'],
      ['https://127.0.0.1:8443/', 'PORT_REFUSED'],
    ] as const) {
      expect(await refusal(strict.register(url))).toEqual([
        `INVALID_ARGUMENT ${reason}`,
        `url ${reason}`,
      ]);
    }
    const { endpoint } = await strict.register('https://127.0.0.1/kept');
    const { endpointId } = endpoint;
    const moved = strict.update({ endpointId, url: 'http://127.0.0.1/kept' });
    expect(await refusal(moved)).toContain('url HTTPS_REQUIRED');
  });

  test('does not tell which internal address a name has', async () => {
    const strict = await subscriptions.start({ allowDestinations: [] });
    const answer = strict.register('http://localhost/');
    await expect(answer).rejects.toThrow('localhost has one that is refused (loopback)');
    await expect(answer).rejects.not.toThrow(/127\.0\.0\.1|::1/);
  });

  test('judges a name by its addresses, and accepts one that has none', async () => {
    const strict = await subscriptions.start({ allowDestinations: [] });
    expect(await refusal(strict.register('http://localhost/'))).toEqual([
      'INVALID_ARGUMENT DESTINATION_REFUSED',
      'url DESTINATION_REFUSED',
    ]);
    expect(await refusal(strict.register('http://localhost./'))).toHaveLength(2);
    expect(await refusal(strict.register('http://nobody.invalid/'))).toEqual(['OK']);
    const local = await subscriptions.start();
    expect(await refusal(local.register('http://localhost/'))).toEqual(['OK']);
  });
});

describe('unregistering', () => {
  test('takes the subscription back, and the endpoint with its last one', async () => {
    const copy = await subscriptions.start();
    const url = 'http://127.0.0.1:9/unregister';
    const { endpointId } = (await copy.register(url, 'a')).endpoint;
    await copy.register(url, 'b');
    expect(await copy.unregister(`${url}#x`, 'a')).toEqual({
      endpointId,
      url,
      endpointRemoved: false,
    });
    expect((await copy.get(endpointId)).events).toEqual(['b']);
    expect(await copy.unregister(url, 'b')).toEqual({ endpointId, url, endpointRemoved: true });
    expect(await refusal(copy.get(endpointId))).toEqual(['NOT_FOUND ENDPOINT_NOT_FOUND']);
    const { rows } = await subscriptions.pool.query(
      `select from subscription.secret where endpoint_id = $1`,
      [endpointId.slice(3)],
    );
    expect(rows).toEqual([]);
  });

  test('what is not registered is not found', async () => {
    const copy = await subscriptions.start();
    const url = 'http://127.0.0.1:9/never';
    const notRegistered = ['NOT_FOUND NOT_REGISTERED'];
    expect(await refusal(copy.unregister(url, 'a'))).toEqual(notRegistered);
    await copy.register(url, 'a');
    expect(await refusal(copy.unregister(url, '*'))).toEqual(notRegistered);
    expect(await refusal(copy.unregister(url, 'a', 'other'))).toEqual(notRegistered);
    expect(await refusal(copy.unregister(url, 'a'))).toEqual(['OK']);
    expect(await refusal(copy.unregister(url, 'a'))).toEqual(notRegistered);
  });

  test('a URL that comes back is a new endpoint with a new secret', async () => {
    const copy = await subscriptions.start();
    const url = 'http://127.0.0.1:9/again';
    const first = await copy.register(url);
    await copy.change('pauseEndpoint', first.endpoint.endpointId);
    await copy.unregister(url);
    const second = await copy.register(url);
    expect(second.endpoint.endpointId).not.toBe(first.endpoint.endpointId);
    expect(second.endpoint.state).toBe('ENDPOINT_STATE_ACTIVE');
    expect(second.secret).toMatch(/^whsec_/);
    expect(second.secret).not.toBe(first.secret);
  });

  test('in a tight race leaves either all of an endpoint or nothing', async () => {
    const copies = [await subscriptions.start(), await subscriptions.start()];
    const url = 'http://127.0.0.1:9/race';
    const calls = Array.from({ length: 60 }, (_, index) => {
      const copy = copies[index % 2];
      const done = index % 3 === 0 ? copy?.unregister(url, 'a') : copy?.register(url, 'a');
      return refusal(Promise.resolve(done));
    });
    for (const [outcome] of await Promise.all(calls)) {
      expect(['OK', 'NOT_FOUND NOT_REGISTERED']).toContain(outcome);
    }
    const rows = await countRows(url);
    expect([
      { endpoints: 1, subscriptions: 1, secrets: 1 },
      { endpoints: 0, subscriptions: 0, secrets: 0 },
    ]).toContainEqual(rows);
    const orphans = await subscriptions.pool.query(
      `select from subscription.secret
       where endpoint_id not in (select endpoint_id from subscription.endpoint)`,
    );
    expect(orphans.rows).toEqual([]);
  });
});

test('a tenant that breaks the pattern is refused', async () => {
  const { client } = await subscriptions.start();
  const request = { url: 'http://127.0.0.1/', event: 'a', filter: '' };
  const answer = call(client.register, request, { tenant: 'no tenant', timeoutMs: 5_000 });
  expect((await refusal(answer))[0]).toBe('INVALID_ARGUMENT TENANT_INVALID');
});
