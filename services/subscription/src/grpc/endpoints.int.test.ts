import { readTimestampMs, writeTimestampMs } from '@billhook/contracts';
import { call } from '@billhook/grpc';
import { createSecretBox } from '@billhook/secrets';
import { describe, expect, test } from 'vitest';
import { refusal, useSubscriptions } from '../testing/subscription-service.ts';
import type { Copy } from '../testing/subscription-service.ts';

const subscriptions = useSubscriptions();
const UNKNOWN_ID = `ep_${'0'.repeat(32)}`;

async function registerOne(copy: Copy, path: string): Promise<string> {
  const { endpoint } = await copy.register(`http://127.0.0.1:9/${path}`, 'a');
  return endpoint.endpointId;
}

describe('an endpoint', () => {
  test('is paused and resumed, as often as one likes', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'pause');
    for (const [name, state] of [
      ['pauseEndpoint', 'ENDPOINT_STATE_PAUSED'],
      ['resumeEndpoint', 'ENDPOINT_STATE_ACTIVE'],
    ] as const) {
      const changed = await copy.change(name, endpointId);
      expect(changed.state).toBe(state);
      const revision = await copy.revision();
      expect(await copy.change(name, endpointId)).toEqual(changed);
      expect(await copy.revision()).toBe(revision);
      expect(await copy.get(endpointId)).toEqual(changed);
    }
  });

  test('is disabled by a report, and enabled again', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'disable');
    const seen = await copy.revision();
    const disabled = await copy.disable(endpointId, seen);
    expect(disabled.disabledReason).toBe('gone');
    expect(await copy.disable(endpointId, seen, { reason: 'failing' })).toEqual(disabled);
    const enabled = await copy.change('enableEndpoint', endpointId);
    expect(enabled.state).toBe('ENDPOINT_STATE_ACTIVE');
    const late = await copy.disable(endpointId, seen);
    expect(late).toEqual(enabled);
    await copy.update({ endpointId, url: 'http://127.0.0.1:9/disable-moved' });
    const beforeMove = (await copy.revision()) - 1;
    expect((await copy.disable(endpointId, beforeMove)).state).toBe('ENDPOINT_STATE_ACTIVE');
    expect((await copy.disable(endpointId, beforeMove + 1)).state).toBe('ENDPOINT_STATE_DISABLED');
  });

  test('is not disabled for failures from before it was resumed', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'renewed');
    await copy.change('pauseEndpoint', endpointId);
    const resumed = await copy.change('resumeEndpoint', endpointId);
    const renewedAtMs = readTimestampMs(resumed.updateTime ?? { seconds: 0n, nanos: 0 }) ?? 0;
    const report = async (failingSinceMs: number) =>
      copy.disable(endpointId, await copy.revision(), {
        reason: 'failing',
        failingSinceTime: writeTimestampMs(failingSinceMs),
      });
    expect((await report(renewedAtMs - 1)).state).toBe('ENDPOINT_STATE_ACTIVE');
    expect((await report(renewedAtMs)).state).toBe('ENDPOINT_STATE_DISABLED');
  });

  test('shows why and since when it is disabled', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'failing');
    expect((await copy.get(endpointId)).disableTime).toBeUndefined();
    const failing = await copy.disable(endpointId, await copy.revision(), { reason: 'failing' });
    expect(failing).toMatchObject({
      state: 'ENDPOINT_STATE_DISABLED',
      disabledReason: 'failing',
      disableTime: failing.updateTime,
    });
    await copy.change('pauseEndpoint', endpointId);
    const paused = await copy.get(endpointId);
    expect(paused).toMatchObject({ disabledReason: 'failing', disableTime: failing.disableTime });
    const enabled = await copy.change('enableEndpoint', endpointId);
    expect(enabled).toMatchObject({ disabledReason: '', disableTime: undefined });
  });

  test('gets another URL and keeps its id, its secret and its subscriptions', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'move');
    const url = 'http://127.0.0.1:9/moved';
    expect(await copy.update({ endpointId, url: `${url}#x` })).toMatchObject({
      url,
      events: ['a'],
    });
    const again = await copy.register(url, 'a');
    expect(again).toMatchObject({ endpoint: { endpointId }, secret: '' });
    const fresh = await copy.register('http://127.0.0.1:9/move', 'a');
    expect(fresh.endpoint.endpointId).not.toBe(endpointId);
    expect(await refusal(copy.update({ endpointId, url: fresh.endpoint.url }))).toEqual([
      'ALREADY_EXISTS URL_TAKEN',
    ]);
  });

  test('changes what the mask names, or what is there without one', async () => {
    const copy = await subscriptions.start();
    const endpointId = await registerOne(copy, 'mask');
    const described = await copy.update({ endpointId, description: 'Ours' });
    expect(described).toMatchObject({ description: 'Ours', url: 'http://127.0.0.1:9/mask' });
    const url = 'http://127.0.0.1:9/masked';
    const masked = await copy.update({
      endpointId,
      url,
      description: 'Ignored',
      updateMask: ['url'],
    });
    expect(masked).toMatchObject({ description: 'Ours', url });
    expect(await copy.update({ endpointId })).toEqual(masked);
    const cleared = await copy.update({ endpointId, updateMask: ['description'] });
    expect(cleared.description).toBe('');
    const both = { endpointId, url: 'http://127.0.0.1:9/all', description: 'All' };
    expect(await copy.update({ ...both, updateMask: ['*'] })).toMatchObject(both);
  });

  test.each([
    [{ updateMask: ['state'] }, 'update_mask UNKNOWN_PATH'],
    [{ updateMask: ['url'] }, 'url URL_REQUIRED'],
    [{ url: 'http://10.0.0.1/' }, 'url DESTINATION_REFUSED'],
    [{ url: 'nowhere' }, 'url URL_NOT_ABSOLUTE'],
    [{ description: 'x'.repeat(1_025) }, 'description TEXT_TOO_LONG'],
    [{ description: 'a\u0000b' }, 'description TEXT_HAS_CONTROL_CHARACTER'],
    [{ endpointId: 'ep_1', url: 'http://127.0.0.1/' }, 'endpoint_id FIELD_INVALID'],
    [{ endpointId: '' }, 'endpoint_id FIELD_REQUIRED'],
  ])('refuses the update %j', async (fields, violation) => {
    const copy = await subscriptions.start();
    const answer = copy.update({ endpointId: UNKNOWN_ID, ...fields });
    expect((await refusal(answer))[1]).toBe(violation);
  });

  test('that does not exist is not found by any call', async () => {
    const copy = await subscriptions.start();
    const calls = [
      () => copy.get(UNKNOWN_ID),
      () => copy.update({ endpointId: UNKNOWN_ID, description: 'x' }),
      () => copy.change('pauseEndpoint', UNKNOWN_ID),
      () => copy.change('resumeEndpoint', UNKNOWN_ID),
      () => copy.change('enableEndpoint', UNKNOWN_ID),
      () => copy.disable(UNKNOWN_ID, 1),
      () => copy.rotate(UNKNOWN_ID),
    ];
    for (const ask of calls) {
      expect(await refusal(ask())).toEqual(['NOT_FOUND ENDPOINT_NOT_FOUND']);
    }
  });

  test('is not disabled by a report that makes no sense', async () => {
    const copy = await subscriptions.start();
    expect((await refusal(copy.disable(UNKNOWN_ID, -1)))[1]).toBe('revision REVISION_INVALID');
    const named = copy.disable(UNKNOWN_ID, 1, { reason: 'No!' });
    expect((await refusal(named))[1]).toBe('reason FIELD_INVALID');
    const timed = copy.disable(UNKNOWN_ID, 1, { failingSinceTime: { seconds: 0n, nanos: -1 } });
    expect((await refusal(timed))[1]).toBe('failing_since_time TIME_OUT_OF_RANGE');
  });
});

describe('rotating a secret', () => {
  test('shows the new one once, and keeps the one before for a day', async () => {
    const copy = await subscriptions.start();
    const { endpoint, secret } = await copy.register('http://127.0.0.1:9/rotate');
    const { endpointId } = endpoint;
    const rotated = await copy.rotate(endpointId);
    expect(rotated.secret).toMatch(/^whsec_/);
    expect(rotated.secret).not.toBe(secret);
    const leftMs = Number(rotated.previousValidUntil?.seconds) * 1_000 - Date.now();
    expect(Math.abs(leftMs - 24 * 3_600_000)).toBeLessThan(60_000);
    expect(await readSecrets(endpointId)).toEqual([
      [rotated.secret, false],
      [secret, true],
    ]);
  });

  test('keeps the secrets before for as long as the call says, and none for longer', async () => {
    const copy = await subscriptions.start();
    const { endpointId } = (await copy.register('http://127.0.0.1:9/overlap')).endpoint;
    await copy.rotate(endpointId);
    await copy.rotate(endpointId, { seconds: 60n * 60n, nanos: 0 });
    const long = await copy.rotate(endpointId, { seconds: 7n * 86_400n, nanos: 0 });
    const [newest, ...before] = await readLifetimes(endpointId);
    expect(newest).toBeUndefined();
    // The last call gives a week to the secret before it, and no more time to those that have an end.
    expect(before.map((leftMs) => Math.round(Number(leftMs) / 3_600_000))).toEqual([168, 1, 1]);
    const leftMs = Number(long.previousValidUntil?.seconds) * 1_000 - Date.now();
    expect(Math.round(leftMs / 3_600_000)).toBe(168);
  });

  test('with no overlap leaves the new secret alone, at once', async () => {
    const copy = await subscriptions.start();
    const { endpointId } = (await copy.register('http://127.0.0.1:9/leaked')).endpoint;
    await copy.rotate(endpointId);
    await copy.rotate(endpointId);
    const { secret } = await copy.rotate(endpointId, { seconds: 0n, nanos: 0 });
    const { message } = await copy.watch().next();
    const watched = message?.value.endpoints.find((each) => each.endpointId === endpointId);
    const box = createSecretBox(subscriptions.config.secretKeys);
    const valid = watched?.secrets.map(({ ciphertext }) => box.decrypt(ciphertext, endpointId));
    expect(valid).toEqual([secret]);
  });

  test('many times at once ends the one before each, by the shortest overlap', async () => {
    const copy = await subscriptions.start();
    const { endpointId } = (await copy.register('http://127.0.0.1:9/at-once')).endpoint;
    const hours = [5n, 3n, 4n];
    await Promise.all(
      hours.map((hour) => copy.rotate(endpointId, { seconds: hour * 3_600n, nanos: 0 })),
    );
    const lifetimes = await readLifetimes(endpointId);
    const left = lifetimes.map((leftMs) => leftMs && Math.round(leftMs / 3_600_000));
    expect(left.filter((hour) => hour === undefined)).toHaveLength(1);
    // The first secret was there before all of them.
    expect(left.at(-1)).toBe(3);
    expect(left).toHaveLength(4);
  });

  test.each([
    [{ seconds: -1n, nanos: 0 }],
    [{ seconds: 0n, nanos: 1 }],
    [{ seconds: 7n * 86_400n, nanos: 1_000_000 }],
    [{ seconds: 1n, nanos: -1 }],
  ])('with the overlap %o is refused', async (overlap) => {
    const copy = await subscriptions.start();
    expect((await refusal(copy.rotate(UNKNOWN_ID, overlap)))[1]).toBe('overlap OVERLAP_INVALID');
  });

  test('keeps five secrets at most', async () => {
    const copy = await subscriptions.start();
    const { endpointId } = (await copy.register('http://127.0.0.1:9/often')).endpoint;
    const rotated = await Promise.all(Array.from({ length: 8 }, () => copy.rotate(endpointId)));
    const kept = await readSecrets(endpointId);
    expect(kept).toHaveLength(5);
    expect(kept.filter(([, expires]) => !expires)).toHaveLength(1);
    const made = new Set(rotated.map(({ secret }) => secret));
    expect(kept.every(([secret]) => made.has(secret))).toBe(true);
  });
});

describe('lists', () => {
  test('go through all endpoints and subscriptions of a tenant, page by page', async () => {
    const copy = await subscriptions.start();
    const tenant = 'lists';
    const ids: string[] = [];
    for (let number = 0; number < 5; number += 1) {
      const url = `http://127.0.0.1:9/list/${number}`;
      ids.push((await copy.register(url, 'a', tenant)).endpoint.endpointId);
      await copy.register(url, '*', tenant);
    }
    const endpoints = await readPages(2, async (page) => {
      const answer = await call(copy.client.listEndpoints, page, { tenant, timeoutMs: 5_000 });
      return { entries: answer.endpoints.map((each) => each.endpointId), ...answer };
    });
    expect(endpoints).toEqual(ids);
    const listed = await readPages(3, async (page) => {
      const answer = await call(copy.client.listSubscriptions, page, { tenant, timeoutMs: 5_000 });
      return {
        entries: answer.subscriptions.map((each) => `${each.endpointId} ${each.event}`),
        ...answer,
      };
    });
    expect(listed).toEqual(ids.flatMap((endpointId) => [`${endpointId} *`, `${endpointId} a`]));
  });

  test('refuse a page size below zero and a token of another list', async () => {
    const { client } = await subscriptions.start();
    const options = { tenant: 'lists', timeoutMs: 5_000 };
    const first = await call(client.listEndpoints, { pageSize: 1, pageToken: '' }, options);
    const pages = [
      call(client.listEndpoints, { pageSize: -1, pageToken: '' }, options),
      call(client.listEndpoints, { pageSize: 1, pageToken: 'nonsense' }, options),
      call(client.listSubscriptions, { pageSize: 1, pageToken: first.nextPageToken }, options),
      call(
        client.listEndpoints,
        { pageSize: 1, pageToken: first.nextPageToken },
        { ...options, tenant: 'x' },
      ),
    ];
    const reasons = await Promise.all(pages.map(async (page) => (await refusal(page))[1]));
    expect(reasons).toEqual([
      'page_size PAGE_SIZE_INVALID',
      'page_token PAGE_TOKEN_INVALID',
      'page_token PAGE_TOKEN_INVALID',
      'page_token PAGE_TOKEN_INVALID',
    ]);
  });
});

/** The secrets in the database, the newest first, and whether they expire. */
async function readSecrets(endpointId: string): Promise<readonly (readonly [string, boolean])[]> {
  const { rows } = await subscriptions.pool.query<{ ciphertext: Buffer; expires: boolean }>(
    `select ciphertext, valid_until_ms is not null as expires from subscription.secret
     where endpoint_id = $1 order by secret_id desc`,
    [endpointId.slice(3)],
  );
  const box = createSecretBox(subscriptions.config.secretKeys);
  return rows.map((row) => [box.decrypt(row.ciphertext, endpointId), row.expires]);
}

/** How long each secret is valid still, the newest first; undefined for ever. */
async function readLifetimes(endpointId: string): Promise<readonly (number | undefined)[]> {
  const { rows } = await subscriptions.pool.query<{ valid_until_ms: bigint | null }>(
    'select valid_until_ms from subscription.secret where endpoint_id = $1 order by secret_id desc',
    [endpointId.slice(3)],
  );
  return rows.map(({ valid_until_ms: untilMs }) =>
    untilMs === null ? undefined : Number(untilMs) - Date.now(),
  );
}

interface ReadPage {
  readonly entries: readonly string[];
  readonly nextPageToken: string;
}

async function readPages(
  pageSize: number,
  read: (page: { pageSize: number; pageToken: string }) => Promise<ReadPage>,
): Promise<readonly string[]> {
  const all: string[] = [];
  let pageToken = '';
  do {
    const page = await read({ pageSize, pageToken });
    expect(page.entries.length).toBeLessThanOrEqual(pageSize);
    all.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}
