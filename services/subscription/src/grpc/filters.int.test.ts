import { call } from '@billhook/grpc';
import { expect, test } from 'vitest';
import { refusal, useSubscriptions } from '../testing/subscription-service.ts';
import type { Copy } from '../testing/subscription-service.ts';

const subscriptions = useSubscriptions();

/** The filters of an endpoint in all places that show them. */
async function shown(copy: Copy, endpointId: string) {
  const page = { pageSize: 1_000, pageToken: '' };
  const listed = await call(copy.client.listSubscriptions, page, { timeoutMs: 5_000 });
  const { message } = await copy.watch().next();
  const watched = message?.value.endpoints.find((each) => each.endpointId === endpointId);
  const { filters } = await copy.get(endpointId);
  return {
    endpoint: filters.map(({ event, filter }) => `${event} ${filter}`),
    list: listed.subscriptions
      .filter((each) => each.endpointId === endpointId)
      .map(({ event, filter }) => `${event} ${filter}`),
    watch: watched?.subscriptions.map(({ event, filter }) => `${event} ${filter}`),
  };
}

test('a filter is kept in one form, and shown and watched with its subscription', async () => {
  const copy = await subscriptions.start();
  const url = 'http://127.0.0.1:9/filtered';
  const filter = '{ "data.b": {"lt": 2e3, "gt": 1}, "data.a": "x" }';
  const { endpoint, subscription } = await copy.registerFiltered(url, 'b', filter);
  const kept = '{"data.a":"x","data.b":{"gt":1,"lt":2000}}';
  expect(subscription.filter).toBe(kept);
  await copy.register(url, 'a');
  expect(await shown(copy, endpoint.endpointId)).toEqual({
    endpoint: [`b ${kept}`],
    list: ['a ', `b ${kept}`],
    watch: ['a ', `b ${kept}`],
  });
});

test('registering again says what the filter is from now on, and keeps the time', async () => {
  const copy = await subscriptions.start();
  const url = 'http://127.0.0.1:9/again';
  const { endpoint, subscription } = await copy.registerFiltered(url, 'a', { 'data.a': 1 });
  const revision = await copy.revision();
  const same = await copy.registerFiltered(url, 'a', { 'data.a': 1 });
  expect(same.subscription).toEqual(subscription);
  expect(await copy.revision()).toBe(revision);

  const other = await copy.registerFiltered(url, 'a', { 'data.a': 2 });
  expect(other.subscription).toEqual({ ...subscription, filter: '{"data.a":2}' });
  expect(await copy.revision()).toBe(revision + 1);
  const none = await copy.register(url, 'a');
  expect(none.subscription).toEqual({ ...subscription, filter: '' });
  expect((await shown(copy, endpoint.endpointId)).watch).toEqual(['a ']);
  expect(await copy.revision()).toBe(revision + 2);
});

test('registering with a filter enables a disabled endpoint', async () => {
  const copy = await subscriptions.start();
  const url = 'http://127.0.0.1:9/enabled';
  const { endpoint } = await copy.register(url, 'a');
  await copy.disable(endpoint.endpointId, await copy.revision());
  const again = await copy.registerFiltered(url, 'a', { 'data.a': 1 });
  expect(again.endpoint.state).toBe('ENDPOINT_STATE_ACTIVE');
});

test.each([
  ['{', 'filter FILTER_INVALID'],
  ['{}', 'filter FILTER_INVALID'],
  ['{"event":"a","event":"b"}', 'filter FILTER_INVALID'],
  [{ 'data.a': { regex: '(a+)+$' } }, 'filter["data.a"].regex FILTER_INVALID'],
  [{ or: [{ 'data.a': 1 }, { amount: 1 }] }, 'filter.or[1].amount FILTER_INVALID'],
  [{ event: 'x'.repeat(4_096) }, 'filter FILTER_TOO_LARGE'],
])('the filter %j is refused with the place that is wrong', async (filter, violation) => {
  const copy = await subscriptions.start();
  const answer = copy.registerFiltered('http://127.0.0.1:9/refused', 'a', filter);
  expect((await refusal(answer))[1]).toBe(violation);
});

test('an endpoint with as many filters as it may have is shown and watched as any other', async () => {
  const copy = await subscriptions.start();
  const url = `http://127.0.0.1:9/${'y'.repeat(1_900)}`;
  const filter = { 'data.description': 'ü'.repeat(4_000) };
  const registrations = Array.from({ length: 40 }, (_, number) =>
    refusal(copy.registerFiltered(url, `e${number}`, filter)),
  );
  const outcomes = (await Promise.all(registrations)).map(([outcome]) => outcome);
  expect(new Set(outcomes)).toEqual(new Set(['OK', 'FAILED_PRECONDITION FILTERS_TOO_LARGE']));
  const { endpoint } = await copy.registerFiltered(url, 'e0', { 'data.a': 1 });
  const { watch } = await shown(copy, endpoint.endpointId);
  expect(watch).toHaveLength(outcomes.filter((outcome) => outcome === 'OK').length);
});
