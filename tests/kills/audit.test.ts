import { describe, expect, test } from 'vitest';
import { audit } from './audit.ts';
import type { Arrival, Evidence } from './audit.ts';

const acknowledged = [
  { invoiceId: 'a', sequence: 1 },
  { invoiceId: 'a', sequence: 2 },
  { invoiceId: 'b', sequence: 1 },
];

function arrival(endpoint: string, event: string, changes: Partial<Arrival> = {}): Arrival {
  const [invoiceId = '', sequence = ''] = event.split('/');
  const unique = { webhookId: `evt_${invoiceId}${sequence}`, bodyHash: event };
  const facts = { endpoint, invoiceId, sequence: Number(sequence), accepted: true };
  return { ...facts, ...unique, arrivedAtMs: 0, ...changes };
}

const complete = ['x', 'y'].flatMap((endpoint) =>
  ['a/1', 'a/2', 'b/1'].map((event) => arrival(endpoint, event)),
);

function findings(arrivals: readonly Arrival[], changes: Partial<Evidence> = {}) {
  return audit({ acknowledged, endpoints: ['x', 'y'], arrivals, killedAtMs: [], ...changes });
}

const nothing = { missing: [], reordered: [], differing: [], duplicates: [] };

describe('the audit', () => {
  test('finds nothing when all came once and in order', () => {
    expect(findings(complete)).toEqual(nothing);
    expect(findings(complete.toReversed()).reordered).toEqual(['y/a/2', 'x/a/2']);
  });

  test('finds nothing wrong with an event whose answer was lost', () => {
    expect(findings([...complete, arrival('x', 'b/2')])).toEqual(nothing);
  });

  test('finds what never came, at each endpoint', () => {
    expect(findings(complete.slice(1)).missing).toEqual(['x/a/1']);
    expect(findings(complete, { endpoints: ['x', 'z'] }).missing).toEqual([
      'z/a/1',
      'z/a/2',
      'z/b/1',
    ]);
  });

  test('finds what came and was never accepted', () => {
    const arrivals = [...complete.slice(0, 5), arrival('y', 'b/1', { accepted: false })];

    expect(findings(arrivals)).toEqual({ ...nothing, missing: ['y/b/1'] });
  });

  test('finds an event that came before an earlier one of its invoice was accepted', () => {
    const refused = arrival('x', 'a/1', { accepted: false });

    expect(findings([refused, ...complete])).toEqual(nothing);
    expect(findings([refused, arrival('x', 'a/2'), ...complete]).reordered).toEqual(['x/a/2']);
  });

  test('finds an event that came again with another id or other bytes', () => {
    const [first, ...rest] = complete;
    if (first === undefined) throw new Error('there is one');
    const refused = { ...first, accepted: false };

    expect(findings([refused, ...complete])).toEqual(nothing);
    expect(findings([{ ...refused, webhookId: 'evt_other' }, ...complete]).differing).toContain(
      'x/a/1',
    );
    expect(findings([{ ...refused, bodyHash: '' }, first, ...rest]).differing).toContain('x/a/1');
  });

  test('finds one id for two events', () => {
    const arrivals = [...complete, arrival('x', 'c/1', { webhookId: 'evt_a1' })];

    expect(findings(arrivals).differing).toEqual(['x/c/1']);
  });

  test('counts what came again after it was accepted, with the kills that explain it', () => {
    const again = arrival('x', 'a/1', { arrivedAtMs: 100 });
    const facts = { delivery: 'x/a/1', invoiceId: 'a', acceptedAtMs: 0, repeatedAtMs: 100 };

    expect(findings([...complete, again]).duplicates).toEqual([
      { ...facts, killsBetween: 0, acceptedBeforeKillMs: undefined },
    ]);
    expect(findings([...complete, again], { killedAtMs: [30, 60, 200] }).duplicates).toEqual([
      { ...facts, killsBetween: 2, acceptedBeforeKillMs: 30 },
    ]);
  });
});
