import type { subscriptionV1 } from '@billhook/contracts';
import { describe, expect, it, vi } from 'vitest';
import { createContentReader } from './matched-event.ts';
import type { MatchedEvent } from './matched-event.ts';
import { changes, endpoint, snapshot } from './messages.fixture.ts';
import { matchAtOnce } from './matching.fixture.ts';
import { subscribes } from './subscribes.ts';
import { createSubscriptionView } from './view.ts';
import type { SubscriptionView } from './view.ts';

const dollars = { 'data.currency': 'USD' };

function eventOf(currency: string, type = 'invoice_paid'): MatchedEvent {
  const body = Buffer.from(JSON.stringify({ event: type, data: { currency } }));
  return { tenant: 'default', type, recordedAtMs: 10, body };
}

function viewOf(...endpoints: readonly subscriptionV1.WatchedEndpoint[]): SubscriptionView {
  const view = createSubscriptionView();
  view.receive(snapshot(1, endpoints));
  return view;
}

function idsOf(view: SubscriptionView, event: MatchedEvent): string[] {
  const judging = { toleranceMs: 0, readContent: createContentReader() };
  const matched = matchAtOnce(view, event, 0).map(({ endpointId }) => endpointId);
  const judged = [...view.endpoints()].filter((each) => subscribes(each, event, judging));
  expect(judged.map(({ endpointId }) => endpointId)).toEqual(matched);
  return matched;
}

describe('a filter of a subscription', () => {
  it('lets those events through that meet it', () => {
    const view = viewOf(
      endpoint({ endpointId: 'ep_1', events: { invoice_paid: 1 }, filter: dollars }),
      endpoint({ endpointId: 'ep_2', events: { invoice_paid: 1 } }),
    );
    expect(idsOf(view, eventOf('USD'))).toEqual(['ep_1', 'ep_2']);
    expect(idsOf(view, eventOf('EUR'))).toEqual(['ep_2']);
  });

  it('holds for its subscription alone: the endpoint gets once what any of them lets through', () => {
    const filtered = endpoint({ endpointId: 'ep_1', events: { invoice_paid: 1 }, filter: dollars });
    const open = endpoint({ endpointId: 'ep_1', events: { '*': 5 } });
    const both = { ...open, subscriptions: [...filtered.subscriptions, ...open.subscriptions] };
    const view = viewOf(both);
    expect(idsOf(view, eventOf('USD'))).toEqual(['ep_1']);
    expect(idsOf(view, eventOf('EUR'))).toEqual(['ep_1']);
    // Before the other one was registered, the filtered one counts alone.
    expect(idsOf(view, { ...eventOf('USD'), recordedAtMs: 3 })).toEqual(['ep_1']);
    expect(idsOf(view, { ...eventOf('EUR'), recordedAtMs: 3 })).toEqual([]);
  });

  it('judges the name of the event as well', () => {
    const filter = { event: { prefix: 'invoice_u' } };
    const view = viewOf(endpoint({ endpointId: 'ep_1', events: { '*': 1 }, filter }));
    expect(idsOf(view, eventOf('USD', 'invoice_updated'))).toEqual(['ep_1']);
    expect(idsOf(view, eventOf('USD', 'invoice_paid'))).toEqual([]);
  });

  it('is seen to change by a snapshot', () => {
    const parts = { endpointId: 'ep_1', events: { '*': 1 } };
    const view = viewOf(endpoint({ ...parts, filter: dollars }));
    const same = view.receive(snapshot(2, [endpoint({ ...parts, filter: dollars })]));
    expect(same?.changed).toEqual([]);
    expect(view.receive(snapshot(3, [endpoint(parts)]))?.changed).toHaveLength(1);
    expect(idsOf(view, eventOf('EUR'))).toEqual(['ep_1']);
  });

  it('is compiled once, however many endpoints have it, and in whatever messages they come', () => {
    const other = { 'data.currency': 'EUR' };
    const view = viewOf(
      endpoint({ endpointId: 'ep_1', events: { invoice_paid: 1, '*': 1 }, filter: dollars }),
      endpoint({ endpointId: 'ep_2', events: { '*': 1 }, filter: other }),
    );
    const added = endpoint({ endpointId: 'ep_3', events: { '*': 1 }, filter: dollars });
    view.receive(changes(2, [added]));
    const filters = [...view.endpoints()].flatMap(({ subscriptions }) =>
      subscriptions.map(({ filter }) => filter),
    );
    expect(filters).toHaveLength(4);
    expect(new Set(filters).size).toBe(2);
    expect(idsOf(view, eventOf('USD'))).toEqual(['ep_1', 'ep_3']);
  });

  it('that this version cannot read holds everything back, and settles nothing', () => {
    const filter = { 'data.currency': { from_the_future: true } };
    const view = viewOf(endpoint({ endpointId: 'ep_1', events: { '*': 1 }, filter }));
    expect(view.endpoint('ep_1')?.state).toBe('paused');
    expect(idsOf(view, eventOf('USD'))).toEqual(['ep_1']);
  });
});

describe('the body of an event', () => {
  const parse = vi.spyOn(JSON, 'parse');
  const numbers = Array.from({ length: 20 }, (_, number) => number);

  it('is decoded once, however many filters judge it', () => {
    const filtered = numbers.map((number) =>
      endpoint({ endpointId: `ep_${number}`, events: { '*': 1 }, filter: dollars }),
    );
    const view = viewOf(...filtered);
    parse.mockClear();
    matchAtOnce(view, eventOf('USD'), 0);
    expect(parse).toHaveBeenCalledTimes(1);
    matchAtOnce(view, eventOf('EUR'), 0);
    expect(parse).toHaveBeenCalledTimes(2);
  });

  it('is not decoded when no filter asks, or it is too old for those that would', () => {
    const open = numbers.map((number) =>
      endpoint({ endpointId: `ep_${number}`, events: { '*': 1 } }),
    );
    const late = endpoint({ endpointId: 'ep_late', events: { '*': 99 }, filter: dollars });
    const view = viewOf(...open, late);
    parse.mockClear();
    expect(matchAtOnce(view, eventOf('USD'), 0)).toHaveLength(20);
    expect(parse).not.toHaveBeenCalled();
  });
});
