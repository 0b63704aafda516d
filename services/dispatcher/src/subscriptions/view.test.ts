import { subscriptionV1 } from '@billhook/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changes, endpoint, snapshot } from './messages.fixture.ts';
import { matchAtOnce } from './matching.fixture.ts';
import { createSubscriptionView } from './view.ts';
import type { SubscriptionView } from './view.ts';
import { WatchProtocolError } from './watched-endpoint.ts';

describe('the view of the subscriptions', () => {
  it('shows nothing of a snapshot before its last chunk', () => {
    const view = createSubscriptionView();
    const first = [endpoint({ endpointId: 'ep_1', events: { paid: 1 } })];
    const second = [endpoint({ endpointId: 'ep_2', events: { paid: 1 } })];
    expect(view.receive(snapshot(5, first, { first: true, last: false }))).toBeUndefined();
    expect(idsOf(view)).toEqual([]);
    expect(view.revision()).toBe(0);
    const result = view.receive(snapshot(5, second, { first: false, last: true }));
    expect(result?.changed.map((each) => each.endpointId)).toEqual(['ep_1', 'ep_2']);
    expect(idsOf(view)).toEqual(['ep_1', 'ep_2']);
    expect(view.revision()).toBe(5);
    expect(view.eventId()).toBe('evt_5');
  });

  it('yields only the difference when a snapshot comes again', () => {
    const view = createSubscriptionView();
    const kept = endpoint({ endpointId: 'ep_1', events: { paid: 1, '*': 2 } });
    const gone = endpoint({ endpointId: 'ep_2', events: { paid: 1 } });
    view.receive(snapshot(5, [kept, gone]));
    const keptInOtherOrder = { ...kept, subscriptions: kept.subscriptions.toReversed() };
    const added = endpoint({ endpointId: 'ep_3', events: { paid: 1 } });
    const result = view.receive(snapshot(7, [keptInOtherOrder, added]));
    expect(result?.changed.map((each) => each.endpointId)).toEqual(['ep_3']);
    expect(result?.removed.map((each) => each.endpointId)).toEqual(['ep_2']);
  });

  it.each([
    ['headers', { encryptedHeaders: Buffer.of(1) }],
    ['rate limit', { rateLimit: 2 }],
    ['time-out', { timeout: { seconds: 2n, nanos: 0 } }],
    ['limit of what is under way', { maxInFlight: 2 }],
    ['threshold of the circuit', { circuitFailures: 2 }],
    ['longest wait of the circuit', { circuitLongestWait: { seconds: 2n, nanos: 0 } }],
  ])('sees in another snapshot that the %s changed', (_name, settings) => {
    const view = createSubscriptionView();
    const before = endpoint({ endpointId: 'ep_1', events: { paid: 1 } });
    view.receive(snapshot(5, [before]));
    expect(view.receive(snapshot(6, [before]))?.changed).toEqual([]);
    const after = { ...before, ...settings };
    expect(view.receive(snapshot(7, [after]))?.changed).toHaveLength(1);
    expect(view.receive(snapshot(8, [after]))?.changed).toEqual([]);
  });

  it('shows what an endpoint has of its own, and undefined for what it has not', () => {
    const view = createSubscriptionView();
    const plain = endpoint({ endpointId: 'ep_1' });
    const timeout = { seconds: 1n, nanos: 500_000_000 };
    const encryptedHeaders = Buffer.of(1);
    const circuit = { circuitFailures: 4, circuitLongestWait: { seconds: 5n, nanos: 0 } };
    const own = {
      rateLimit: 0.5,
      timeout,
      maxInFlight: 3,
      encryptedHeaders,
      ...circuit,
    };
    view.receive(snapshot(1, [plain, { ...plain, ...own, endpointId: 'ep_2' }]));
    expect(view.endpoint('ep_1')).toMatchObject({
      encryptedHeaders: undefined,
      rateLimitPerSecond: undefined,
      timeoutMs: undefined,
      maxInFlight: undefined,
      circuitFailures: undefined,
      circuitLongestWaitMs: undefined,
    });
    expect(view.endpoint('ep_2')).toMatchObject({
      encryptedHeaders,
      rateLimitPerSecond: 0.5,
      timeoutMs: 1_500,
      maxInFlight: 3,
      circuitFailures: 4,
      circuitLongestWaitMs: 5_000,
    });
  });

  it('matches an endpoint once, though its name and the star both match', () => {
    const view = createSubscriptionView();
    view.receive(snapshot(1, [endpoint({ endpointId: 'ep_1', events: { paid: 1, '*': 1 } })]));
    expect(matches(view, 'paid', 10)).toEqual(['ep_1']);
    expect(matches(view, 'created', 10)).toEqual(['ep_1']);
  });

  it('matches what was registered up to the tolerance after the event', () => {
    const view = createSubscriptionView();
    view.receive(snapshot(1, [endpoint({ endpointId: 'ep_1', events: { paid: 1_000 } })]));
    const event = eventOf('paid', 900);
    expect(matchAtOnce(view, event, 100)).toHaveLength(1);
    expect(matchAtOnce(view, event, 99)).toHaveLength(0);
  });

  it('keeps tenants apart', () => {
    const view = createSubscriptionView();
    view.receive(
      snapshot(1, [endpoint({ endpointId: 'ep_1', tenant: 'acme', events: { '*': 1 } })]),
    );
    expect(matches(view, 'paid', 10)).toEqual([]);
  });

  it('refuses what cannot follow, and stays as it was', () => {
    const view = createSubscriptionView();
    view.receive(snapshot(5, [endpoint({ endpointId: 'ep_1', events: { paid: 1 } })]));
    const nonsense: subscriptionV1.WatchResponse[] = [
      { message: undefined, format: 0 },
      changes(4, [], ['ep_1']),
      snapshot(6, [], { first: false, last: true }),
      changes(6, [
        {
          ...endpoint({ endpointId: 'ep_1' }),
          subscriptions: [{ event: 'x', registeredAt: undefined, filter: '' }],
        },
      ]),
      changes(6, [{ ...endpoint({ endpointId: 'ep_1' }), timeout: { seconds: 0n, nanos: 0 } }]),
    ];
    for (const message of nonsense) {
      expect(() => view.receive(message)).toThrow(WatchProtocolError);
    }
    expect(matches(view, 'paid', 10)).toEqual(['ep_1']);
    expect(view.revision()).toBe(5);
  });

  it('refuses changes within a snapshot, but takes them on a new stream', () => {
    const view = createSubscriptionView();
    view.receive(snapshot(5, [], { first: true, last: false }));
    expect(() => view.receive(changes(6, []))).toThrow(WatchProtocolError);
    view.beginStream();
    view.receive(changes(6, []));
    expect(view.revision()).toBe(6);
  });

  it('holds deliveries back for a state that it does not know', () => {
    const view = createSubscriptionView();
    const unknown = endpoint({ endpointId: 'ep_1' });
    const state = subscriptionV1.EndpointState.UNRECOGNIZED;
    view.receive(snapshot(1, [{ ...unknown, state }]));
    expect(view.endpoint('ep_1')?.state).toBe('paused');
  });

  it('matches like a scan of all endpoints does, after any messages', () => {
    fc.assert(
      fc.property(fc.array(arbitraryStep, { maxLength: 20 }), arbitraryQuery, (steps, query) => {
        const view = createSubscriptionView();
        const model = new Map<string, subscriptionV1.WatchedEndpoint>();
        steps.forEach((step, index) => {
          if (step.kind === 'snapshot') model.clear();
          const removed = step.kind === 'snapshot' ? [] : step.removed;
          for (const id of removed) model.delete(id);
          for (const each of step.endpoints) model.set(each.endpointId, each);
          const revision = index + 1;
          view.receive(
            step.kind === 'snapshot'
              ? snapshot(revision, step.endpoints)
              : changes(revision, step.endpoints, removed),
          );
        });
        const expected = [...model.values()].filter((each) => matchesByScan(each, query));
        const event = { ...eventOf(query.type, query.recordedAtMs), tenant: query.tenant };
        const found = matchAtOnce(view, event, 0).map((each) => each.endpointId);
        expect(found.toSorted()).toEqual(expected.map((each) => each.endpointId).toSorted());
        expect(idsOf(view)).toEqual([...model.keys()].toSorted());
      }),
    );
  });
});

const names = ['created', 'paid', '*'];
const ids = ['ep_1', 'ep_2', 'ep_3', 'ep_4'];

const arbitraryEndpoint = fc
  .record({
    endpointId: fc.constantFrom(...ids),
    tenant: fc.constantFrom('default', 'acme'),
    events: fc.dictionary(fc.constantFrom(...names), fc.integer({ min: 1, max: 5 })),
  })
  .map(endpoint);

const arbitraryEndpoints = fc.uniqueArray(arbitraryEndpoint, {
  selector: (each) => each.endpointId,
});

const arbitraryStep = fc.oneof(
  fc.record({ kind: fc.constant('snapshot' as const), endpoints: arbitraryEndpoints }),
  fc.record({
    kind: fc.constant('changes' as const),
    endpoints: arbitraryEndpoints,
    removed: fc.subarray(ids),
  }),
);

const arbitraryQuery = fc.record({
  tenant: fc.constantFrom('default', 'acme'),
  type: fc.constantFrom('created', 'paid', 'updated'),
  recordedAtMs: fc.integer({ min: 0, max: 6 }),
});

function matchesByScan(
  each: subscriptionV1.WatchedEndpoint,
  query: { tenant: string; type: string; recordedAtMs: number },
): boolean {
  return (
    each.tenant === query.tenant &&
    each.subscriptions.some(
      ({ event, registeredAt }) =>
        (event === query.type || event === '*') &&
        (registeredAt?.nanos ?? 0) / 1_000_000 <= query.recordedAtMs,
    )
  );
}

function eventOf(type: string, recordedAtMs: number, data: object = {}) {
  const body = Buffer.from(JSON.stringify({ event: type, data }));
  return { tenant: 'default', type, recordedAtMs, body };
}

function matches(view: SubscriptionView, type: string, recordedAtMs: number): string[] {
  const found = matchAtOnce(view, eventOf(type, recordedAtMs), 0);
  return found.map((each) => each.endpointId);
}

function idsOf(view: SubscriptionView): string[] {
  return [...view.endpoints()].map((each) => each.endpointId).toSorted();
}
