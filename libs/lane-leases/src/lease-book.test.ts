import { describe, expect, it } from 'vitest';
import { createLeaseBook } from './lease-book.ts';
import type { LeaseRow, MemberRow } from './lease-book.ts';

const leaseMs = 1_000;

describe('the lease book', () => {
  it('gives the first process every lane', () => {
    const book = createLeaseBook({ ownerId: 'a', leaseMs });
    const plan = book.judge({ lanes: free(16), members: [member('a', 1)], ...at(0) }, 0);
    expect(plan.take).toHaveLength(16);
    expect(plan.share).toBe(16);
  });

  it('divides the lanes without a rest, whoever looks', () => {
    const members = ['a', 'b', 'c'].map((owner) => member(owner, 1));
    const shares = members.map(({ owner }) => {
      const book = createLeaseBook({ ownerId: owner, leaseMs });
      return book.judge({ lanes: free(16), members, ...at(0) }, 0).share;
    });
    expect(shares).toEqual([6, 5, 5]);
  });

  it('leaves a lane alone whose counter moves', () => {
    const book = createLeaseBook({ ownerId: 'b', leaseMs });
    for (let step = 0; step < 10; step += 1) {
      const lanes = [{ lane: 0, owner: 'a', epoch: 1, counter: step }];
      const plan = book.judge({ lanes, members: [], ...at(step * 900) }, 0);
      expect(plan.take).toEqual([]);
    }
  });

  it('takes a lane whose counter stood still for the lease time, and not before', () => {
    const book = createLeaseBook({ ownerId: 'b', leaseMs });
    const lanes = [{ lane: 0, owner: 'a', epoch: 1, counter: 7 }];
    expect(book.judge({ lanes, members: [], ...at(0) }, 0).take).toEqual([]);
    expect(book.judge({ lanes, members: [], ...at(999) }, 0).take).toEqual([]);
    expect(book.judge({ lanes, members: [], ...at(1_000) }, 0).take).toEqual(lanes);
  });

  it('counts from the answer that showed the counter to the question that asks again', () => {
    const book = createLeaseBook({ ownerId: 'b', leaseMs });
    const lanes = [{ lane: 0, owner: 'a', epoch: 1, counter: 7 }];
    book.judge({ lanes, members: [], askedAtMs: 0, answeredAtMs: 600 }, 0);
    const early = { lanes, members: [], askedAtMs: 1_500, answeredAtMs: 1_700 };
    expect(book.judge(early, 0).take).toEqual([]);
    const late = { lanes, members: [], askedAtMs: 1_600, answeredAtMs: 1_700 };
    expect(book.judge(late, 0).take).toEqual(lanes);
  });

  it('starts to count anew when a lane changes hands', () => {
    const book = createLeaseBook({ ownerId: 'c', leaseMs });
    const before = [{ lane: 0, owner: 'a', epoch: 1, counter: 7 }];
    const after = [{ lane: 0, owner: 'b', epoch: 2, counter: 7 }];
    book.judge({ lanes: before, members: [], ...at(0) }, 0);
    expect(book.judge({ lanes: after, members: [], ...at(1_000) }, 0).take).toEqual([]);
  });

  it('forgets a member whose counter stands still, and shares its part out', () => {
    const book = createLeaseBook({ ownerId: 'a', leaseMs });
    const lanes = free(4);
    const together = { lanes, members: [member('a', 1), member('b', 5)], ...at(0) };
    expect(book.judge(together, 0)).toMatchObject({ share: 2, forget: [] });
    const alone = { lanes, members: [member('a', 2), member('b', 5)], ...at(1_000) };
    expect(book.judge(alone, 0)).toMatchObject({ share: 4, forget: [member('b', 5)] });
  });

  it('never forgets itself', () => {
    const book = createLeaseBook({ ownerId: 'a', leaseMs });
    const members = [member('a', 1)];
    book.judge({ lanes: free(1), members, ...at(0) }, 0);
    expect(book.judge({ lanes: free(1), members, ...at(5_000) }, 0).forget).toEqual([]);
  });
});

function free(count: number): LeaseRow[] {
  return Array.from({ length: count }, (_, lane) => ({ lane, owner: '', epoch: 0, counter: 0 }));
}

function member(owner: string, counter: number): MemberRow {
  return { owner, counter };
}

function at(timeMs: number): { askedAtMs: number; answeredAtMs: number } {
  return { askedAtMs: timeMs, answeredAtMs: timeMs };
}
