import { laneOf } from '@billhook/event-store';
import { describe, expect, test } from 'vitest';
import { explain, judge } from './judge.ts';
import type { Aftermath, Evidence } from './judge.ts';
import type { Fault } from './plan.ts';

const LANES = 16;
const INVOICE = 'inv-1';
const lane = laneOf('default', INVOICE, LANES);

function aftermath(
  action: Fault['action'],
  target: Fault['target'],
  times: { readonly beganAtMs: number; readonly normalAtMs: number | undefined },
): Aftermath {
  const fault = { action, target, victim: `${target}-1`, calmMs: 0, lastsMs: 0, hurried: false };
  const { beganAtMs } = times;
  const outcome = { overAtMs: beganAtMs, inside: undefined, exitCode: 0, timeToNormalMs: 0 };
  return { fault, ...outcome, ...times };
}

function duplicate(acceptedAtMs: number, repeatedAtMs: number) {
  const none = { killsBetween: 0, acceptedBeforeKillMs: undefined };
  return { delivery: `x/${INVOICE}/1`, invoiceId: INVOICE, acceptedAtMs, repeatedAtMs, ...none };
}

const kill = aftermath('kill', 'dispatcher', { beganAtMs: 10_000, normalAtMs: 20_000 });
const move = { lane, afterMs: 19_000, seenAtMs: 19_200 };

function explainOne(
  repeated: ReturnType<typeof duplicate>,
  { faults = [kill], moves = [move] } = {},
) {
  const evidence = { faults, moves, lanes: LANES, tenant: 'default' };
  const { byFault, unexplained } = explain([repeated], evidence);
  return unexplained.length === 0 ? [...byFault.keys()] : 'unexplained';
}

describe('a duplicate is explained', () => {
  test('by a dispatcher that was killed after it had sent it, when the lane moved', () => {
    expect(explainOne(duplicate(9_900, 19_300))).toEqual([kill]);
  });

  test('by no fault that was over, or had not begun', () => {
    expect(explainOne(duplicate(25_000, 26_000))).toBe('unexplained');
    expect(explainOne(duplicate(8_000, 9_000))).toBe('unexplained');
  });

  test('also when it came again late: its endpoint may have a backlog', () => {
    expect(explainOne(duplicate(9_900, 60_000))).toEqual([kill]);
  });

  test('by no fault long after it was recorded, or that is long over', () => {
    expect(explainOne(duplicate(4_000, 19_300))).toBe('unexplained');
    const late = { lane, afterMs: 59_000, seenAtMs: 59_200 };
    expect(explainOne(duplicate(9_900, 60_000), { moves: [late] })).toBe('unexplained');
  });

  test('by nothing as long as its lane stays where it is', () => {
    expect(explainOne(duplicate(9_900, 19_300), { moves: [] })).toBe('unexplained');
    const early = { lane, afterMs: 8_000, seenAtMs: 8_200 };
    const elsewhere = { ...move, lane: (lane + 1) % LANES };
    expect(explainOne(duplicate(9_900, 19_300), { moves: [early, elsewhere] })).toBe('unexplained');
  });

  test.for([
    ['kill', 'invoice'],
    ['kill', 'broker'],
    ['restart', 'dispatcher'],
    ['join', 'dispatcher'],
    ['leave', 'dispatcher'],
    ['delete-topic', 'topic'],
  ] as const)('not by %s %s, which may cause none', ([action, target]) => {
    const fault = aftermath(action, target, { beganAtMs: 10_000, normalAtMs: 20_000 });

    expect(explainOne(duplicate(9_900, 19_300), { faults: [fault] })).toBe('unexplained');
  });
});

const good: Evidence = {
  endpoints: 2,
  findings: { missing: [], reordered: [], differing: [], duplicates: [] },
  explanation: { byFault: new Map(), unexplained: [] },
  resent: [],
  faults: [kill],
  missingInKafka: [],
  refusals: [],
  lost: [],
  exitCode: 0,
};

describe('a run', () => {
  test('is good when everything came once and in order, or twice for a reason', () => {
    const byFault = new Map([[kill, [duplicate(9_900, 19_300)]]]);

    expect(judge(good)).toEqual([]);
    expect(judge({ ...good, explanation: { byFault, unexplained: [] } })).toEqual([]);
  });

  const one = duplicate(1, 2);
  const many = Array.from({ length: 929 }, () => one);
  const { findings } = good;
  test.for<[string, Partial<Evidence>]>([
    ['missing at an endpoint', { findings: { ...findings, missing: ['x/a/1'] } }],
    ['missing in Kafka', { missingInKafka: ['default/a/1'] }],
    ['before an earlier one', { findings: { ...findings, reordered: ['x/a/2'] } }],
    ['another id or body', { findings: { ...findings, differing: ['x/a/1'] } }],
    ['no fault explains', { explanation: { byFault: new Map(), unexplained: [one] } }],
    [
      'duplicates came of a fault',
      {
        explanation: { byFault: new Map([[kill, many]]), unexplained: [] },
      },
    ],
    ['after they had been recorded', { resent: ['x/a'] }],
    ['not normal again in time', { faults: [{ ...kill, normalAtMs: undefined }] }],
    ['refused', { refusals: ['INTERNAL'] }],
    ['ended by themselves', { lost: ['invoice-1'] }],
    ['the last stop', { exitCode: 1 }],
  ])('is not when something is wrong: %s', ([words, change]) => {
    expect(judge({ ...good, ...change })).toEqual([expect.stringContaining(words)]);
  });

  test('is not when a copy that was asked to leave did not end well', () => {
    const times = { beganAtMs: 1, normalAtMs: 2 };
    const faults = (['leave', 'restart'] as const).map((action) => ({
      ...aftermath(action, 'invoice', times),
      exitCode: 1,
    }));

    expect(judge({ ...good, faults })).toEqual([
      'copies did not end with 0 (2): leave invoice-1 (1), restart invoice-1 (1)',
    ]);
  });
});
