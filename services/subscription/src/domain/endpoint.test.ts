import type { EndpointHeader } from '@billhook/secrets';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decide,
  MAX_FILTER_CHARACTERS_PER_ENDPOINT,
  MAX_SUBSCRIPTIONS_PER_ENDPOINT,
} from './decide.ts';
import type { EndpointCommand, EndpointDecision } from './decide.ts';
import { evolve, stateOf } from './endpoint.ts';
import type { Endpoint, EndpointEvent } from './endpoint.ts';

const key = { tenant: 'default', endpointId: 'ep_1' };
const url = 'https://example.com/';
const otherUrl = 'https://example.org/';
const created: EndpointEvent = { type: 'endpoint_created', url };
const added = (event: string, filter: string | null = null): EndpointEvent => ({
  type: 'subscription_added',
  event,
  registeredAtMs: 5,
  filter,
});
const disabled: EndpointEvent = { type: 'endpoint_disabled', reason: 'gone' };

function replay(...events: readonly EndpointEvent[]): Endpoint {
  let endpoint: Endpoint | undefined;
  for (const [index, event] of events.entries()) {
    const change = { ...key, event, revision: index + 1, recordedAtMs: (index + 1) * 10 };
    endpoint = evolve(endpoint, change);
  }
  if (endpoint === undefined) {
    throw new Error('The endpoint is gone');
  }
  return endpoint;
}

const active = replay(created, added('a'));

function decideOn(endpoint: Endpoint | undefined, command: EndpointCommand, urlHolder?: Endpoint) {
  const decision = decide(command, { endpoint, urlHolder, headers: [], clockMs: 99 });
  return decision.kind === 'accepted'
    ? decision.events
    : `${decision.error.code} ${decision.error.reason}`;
}

describe('the history of an endpoint', () => {
  test('starts active, with the time at which it was made', () => {
    expect(active).toEqual({
      ...key,
      version: 2,
      url,
      description: '',
      headerNames: [],
      rateLimitPerSecond: null,
      timeoutMs: null,
      maxInFlight: null,
      circuitFailures: null,
      circuitLongestWaitMs: null,
      paused: false,
      disabled: null,
      subscriptions: [{ event: 'a', registeredAtMs: 5, filter: null }],
      createdAtMs: 10,
      updatedAtMs: 20,
      renewedAtRevision: 1,
      renewedAtMs: 10,
    });
  });

  test('keeps subscriptions in the order of their names', () => {
    const names = ['b', 'c', '*', 'a'];
    const { subscriptions } = replay(created, ...names.map((name) => added(name)));
    expect(subscriptions.map(({ event }) => event)).toEqual(['*', 'a', 'b', 'c']);
  });

  test('shows disabled before paused before active', () => {
    const paused = replay(created, { type: 'endpoint_paused' });
    const both = replay(created, { type: 'endpoint_paused' }, disabled);
    const enabled = replay(created, { type: 'endpoint_paused' }, disabled, {
      type: 'endpoint_enabled',
    });
    expect([active, paused, both, enabled].map(stateOf)).toEqual([
      'active',
      'paused',
      'disabled',
      'paused',
    ]);
  });

  test('shows why and since when it is disabled, until it is enabled', () => {
    const failing: EndpointEvent = { type: 'endpoint_disabled', reason: 'failing' };
    const off = replay(created, failing, { type: 'endpoint_paused' });
    expect(off.disabled).toEqual({ reason: 'failing', sinceMs: 20 });
    expect(replay(created, failing, { type: 'endpoint_enabled' }).disabled).toBeNull();
  });

  test('is renewed by enabling, resuming and another URL, not by another description', () => {
    const enabled = replay(created, disabled, { type: 'endpoint_enabled' });
    const resumed = replay(created, { type: 'endpoint_paused' }, { type: 'endpoint_resumed' });
    const moved = replay(created, { type: 'endpoint_updated', changes: { url: otherUrl } });
    const described = replay(created, { type: 'endpoint_updated', changes: { description: 'x' } });
    const all = [enabled, resumed, moved, described];
    expect(all.map((each) => each.renewedAtRevision)).toEqual([3, 3, 2, 1]);
    expect(all.map((each) => each.renewedAtMs)).toEqual([30, 30, 20, 10]);
  });

  test('that cannot be is an error', () => {
    const change = { ...key, revision: 9, recordedAtMs: 9 };
    expect(() => evolve(active, { ...change, event: created })).toThrow('after version 2');
    expect(() => evolve(undefined, { ...change, event: disabled })).toThrow('when there is none');
  });
});

describe('registering', () => {
  const register: EndpointCommand = { kind: 'register', event: 'a', url, filter: null };

  test('makes the endpoint with its first subscription', () => {
    expect(decideOn(undefined, register)).toEqual([
      created,
      { type: 'subscription_added', event: 'a', registeredAtMs: 99, filter: null },
    ]);
  });

  test('adds a subscription to an endpoint, and nothing when it is there', () => {
    expect(decideOn(active, { ...register, event: 'b' })).toEqual([
      { type: 'subscription_added', event: 'b', registeredAtMs: 99, filter: null },
    ]);
    expect(decideOn(active, register)).toEqual([]);
  });

  test('enables a disabled endpoint, and does not resume a paused one', () => {
    const off = replay(created, added('a'), { type: 'endpoint_paused' }, disabled);
    expect(decideOn(off, register)).toEqual([{ type: 'endpoint_enabled' }]);
    expect(decideOn(replay(created, added('a'), { type: 'endpoint_paused' }), register)).toEqual(
      [],
    );
  });

  test('is refused beyond the number of subscriptions that an endpoint may have', () => {
    const names = Array.from({ length: MAX_SUBSCRIPTIONS_PER_ENDPOINT }, (_, index) => `e${index}`);
    const full = replay(created, ...names.map((name) => added(name)));
    expect(decideOn(full, register)).toBe('FAILED_PRECONDITION TOO_MANY_SUBSCRIPTIONS');
    expect(decideOn(full, { ...register, event: 'e7' })).toEqual([]);
  });
});

describe('registering with a filter', () => {
  const register: EndpointCommand = { kind: 'register', event: 'a', url, filter: 'one' };
  const filtered = replay(created, added('a', 'one'), added('b'));

  test('makes a subscription that has it', () => {
    expect(decideOn(undefined, register)).toEqual([
      created,
      { type: 'subscription_added', event: 'a', registeredAtMs: 99, filter: 'one' },
    ]);
  });

  test('again changes nothing, with another one or without one it does, and nothing else', () => {
    expect(decideOn(filtered, register)).toEqual([]);
    for (const filter of ['two', null]) {
      const changed: EndpointEvent = { type: 'subscription_filter_changed', event: 'a', filter };
      expect(decideOn(filtered, { ...register, filter })).toEqual([changed]);
      expect(replay(created, added('a', 'one'), added('b'), changed).subscriptions).toEqual([
        { event: 'a', registeredAtMs: 5, filter },
        { event: 'b', registeredAtMs: 5, filter: null },
      ]);
    }
  });

  test('is refused beyond what the filters of an endpoint may have together', () => {
    const filter = 'x'.repeat(MAX_FILTER_CHARACTERS_PER_ENDPOINT / 2);
    const half = replay(created, added('a', filter));
    expect(decideOn(half, { ...register, event: 'b', filter })).toHaveLength(1);
    const tooMuch = { ...register, event: 'b', filter: `${filter}x` };
    expect(decideOn(half, tooMuch)).toBe('FAILED_PRECONDITION FILTERS_TOO_LARGE');
    // It takes the place of the one before.
    expect(decideOn(half, { ...register, filter: `${filter}x` })).toHaveLength(1);
  });
});

describe('unregistering', () => {
  const unregister: EndpointCommand = { kind: 'unregister', event: 'a', url };

  test('takes the endpoint away with its last subscription only', () => {
    const removed = { type: 'subscription_removed', event: 'a' };
    expect(decideOn(replay(created, added('a'), added('b')), unregister)).toEqual([removed]);
    expect(decideOn(active, unregister)).toEqual([removed, { type: 'endpoint_removed' }]);
  });

  test('is refused when it is not registered', () => {
    expect(decideOn(undefined, unregister)).toBe('NOT_FOUND NOT_REGISTERED');
    expect(decideOn(active, { ...unregister, event: '*' })).toBe('NOT_FOUND NOT_REGISTERED');
  });
});

const report = (revision: number, reason = 'gone', failingSinceMs?: number): EndpointCommand => ({
  kind: 'disable',
  reason,
  revision,
  failingSinceMs,
});

describe('changing an endpoint', () => {
  test.each([
    { kind: 'pause' },
    { kind: 'resume' },
    { kind: 'enable' },
    { kind: 'rotate_secret', overlapMs: 0 },
  ] as const)('$kind needs one that exists', (command) => {
    expect(decideOn(undefined, command)).toBe('NOT_FOUND ENDPOINT_NOT_FOUND');
  });

  test('an update names only what gets another value', () => {
    const update: EndpointCommand = { kind: 'update', changes: { url, description: 'x' } };
    const changes = { description: 'x' };
    expect(decideOn(active, update, active)).toEqual([{ type: 'endpoint_updated', changes }]);
    expect(decideOn(active, { kind: 'update', changes: { url } }, active)).toEqual([]);
  });

  test('an update gives limits and headers, and takes them back', () => {
    const more = { circuitFailures: 4, circuitLongestWaitMs: 5_000 };
    const given = { rateLimitPerSecond: 0.5, timeoutMs: 2_000, maxInFlight: 3, ...more };
    const headers = [{ name: 'authorization', value: 'Bearer x' }];
    expect(decideOn(active, { kind: 'update', changes: { ...given, headers } })).toEqual([
      { type: 'endpoint_updated', changes: { ...given, headerNames: ['authorization'] } },
    ]);
    const limited = replay(created, { type: 'endpoint_updated', changes: given });
    expect(limited).toMatchObject(given);
    expect(decideOn(limited, { kind: 'update', changes: given })).toEqual([]);
    const taken = {
      rateLimitPerSecond: null,
      timeoutMs: null,
      maxInFlight: null,
      circuitFailures: null,
      circuitLongestWaitMs: null,
    };
    expect(decideOn(limited, { kind: 'update', changes: taken })).toEqual([
      { type: 'endpoint_updated', changes: taken },
    ]);
  });

  test('headers change when a value does, and no event holds it', () => {
    const headers = [{ name: 'x-key', value: 'old' }];
    const update = (value: string): EndpointDecision =>
      decide(
        { kind: 'update', changes: { headers: [{ name: 'x-key', value }] } },
        { endpoint: active, urlHolder: undefined, headers, clockMs: 99 },
      );
    expect(update('old')).toEqual({ kind: 'accepted', events: [] });
    expect(update('new')).toEqual({
      kind: 'accepted',
      events: [{ type: 'endpoint_updated', changes: { headerNames: ['x-key'] } }],
    });
  });

  test('an update to a URL that another endpoint has is refused', () => {
    const other = { ...active, endpointId: 'ep_2', url: otherUrl };
    const update: EndpointCommand = { kind: 'update', changes: { url: otherUrl } };
    expect(decideOn(active, update, other)).toBe('ALREADY_EXISTS URL_TAKEN');
  });

  test.each(['gone', 'failing'])(
    'a report that it is %s, of a view from before it was enabled or moved, is ignored',
    (reason) => {
      const disabling = { type: 'endpoint_disabled', reason };
      const enabled = replay(created, added('a'), disabled, { type: 'endpoint_enabled' });
      expect(decideOn(enabled, report(3, reason))).toEqual([]);
      expect(decideOn(enabled, report(4, reason))).toEqual([disabling]);
      const moved = { type: 'endpoint_updated', changes: { url: otherUrl } } as const;
      expect(decideOn(replay(created, added('a'), moved), report(2, reason))).toEqual([]);
      expect(decideOn(replay(created, added('a'), moved), report(3, reason))).toEqual([disabling]);
    },
  );

  test('a report that counts failures from before a renewal is ignored, whatever its view', () => {
    const resumed = replay(created, { type: 'endpoint_paused' }, { type: 'endpoint_resumed' });
    expect(decideOn(resumed, report(9, 'failing', 29))).toEqual([]);
    expect(decideOn(resumed, report(9, 'failing', 30))).toHaveLength(1);
    expect(decideOn(resumed, report(9, 'failing'))).toHaveLength(1);
  });

  test('a report on an endpoint that is disabled changes neither the reason nor the time', () => {
    expect(decideOn(replay(created, added('a'), disabled), report(3, 'failing'))).toEqual([]);
  });

  test('a rotation keeps the secrets before for as long as it says', () => {
    expect(decideOn(active, { kind: 'rotate_secret', overlapMs: 1_000 })).toEqual([
      { type: 'secret_rotated', previousValidUntilMs: 1_099 },
    ]);
  });
});

const commands: fc.Arbitrary<EndpointCommand> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('register' as const, 'unregister' as const),
    event: fc.constantFrom('a', 'b', '*'),
    url: fc.constant(url),
    filter: fc.constantFrom(null, 'one', 'two'),
  }),
  fc.record({ kind: fc.constantFrom('pause', 'resume', 'enable') }),
  fc.record({ kind: fc.constant('rotate_secret' as const), overlapMs: fc.nat(9) }),
  fc.record({
    kind: fc.constant('disable' as const),
    reason: fc.constant('gone'),
    revision: fc.nat(30),
    failingSinceMs: fc.option(fc.nat(30), { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant('update' as const),
    changes: fc.record(
      {
        url: fc.constantFrom(url, otherUrl),
        description: fc.constantFrom('', 'x'),
        headers: fc.constantFrom([], [{ name: 'a', value: '1' }], [{ name: 'a', value: '2' }]),
        rateLimitPerSecond: fc.constantFrom(null, 1, 2),
        timeoutMs: fc.constantFrom(null, 100),
        maxInFlight: fc.constantFrom(null, 1),
        circuitFailures: fc.constantFrom(null, 1),
        circuitLongestWaitMs: fc.constantFrom(null, 100),
      },
      { requiredKeys: [] },
    ),
  }),
);

test('whatever is asked for, what is decided can follow, and a repeat changes nothing more', () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 40 }), (asked) => {
      let endpoint: Endpoint | undefined;
      let headers: readonly EndpointHeader[] = [];
      let revision = 0;
      const decideNow = (command: EndpointCommand): EndpointDecision =>
        decide(command, { endpoint, urlHolder: undefined, headers, clockMs: revision });
      for (const command of asked) {
        const first = decideNow(command);
        for (const event of first.kind === 'accepted' ? first.events : []) {
          revision += 1;
          endpoint = evolve(endpoint, { ...key, event, revision, recordedAtMs: revision });
        }
        expect(endpoint?.subscriptions.length).not.toBe(0);
        if (endpoint === undefined) headers = [];
        else if (command.kind === 'update') headers = command.changes.headers ?? headers;
        expect(endpoint?.headerNames ?? []).toEqual(headers.map(({ name }) => name));
        const isRepeatable = command.kind !== 'unregister' && command.kind !== 'rotate_secret';
        if (first.kind === 'accepted' && isRepeatable) {
          expect(decideNow(command)).toEqual({ kind: 'accepted', events: [] });
        }
      }
    }),
  );
});
