import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idAt, MAX_BATCH, MAX_EVENTS, range, SOON_STEPS, startLane } from './lane.fixture.ts';

describe('a lane', () => {
  it('is read from its beginning', () => {
    const { partition, reader } = startLane(range(1, 10));
    expect(reader.readAll()).toEqual(range(1, 10));
    partition.append(range(11, 12));
    expect(reader.readAll()).toEqual([11, 12]);
  });

  it('is found from any position, whatever the hint', () => {
    for (const after of range(0, 9)) {
      for (const offset of [undefined, 0, after - 1, after, 9, 10, 1_000]) {
        const { reader } = startLane(range(1, 10), { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 10));
        expect(reader.predecessor).toEqual(
          after === 0 ? { kind: 'none' } : { kind: 'event', id: idAt(after) },
        );
      }
    }
  });

  it('is found though repeats moved everything behind', () => {
    const repeats = Array.from({ length: 20 }, () => range(1, 50)).flat();
    const { reader } = startLane([...range(1, 50), ...repeats, ...range(51, 60)], { after: 55 });
    expect(reader.readAll()).toEqual(range(56, 60));
  });

  it('is found though the search meets a repeat that later positions follow', () => {
    const positions = [...range(1, 20), ...range(5, 10), ...range(21, 25)];
    for (const after of range(1, 24)) {
      for (const offset of range(0, positions.length)) {
        const { reader } = startLane(positions, { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 25));
      }
    }
  });

  it('is found though nothing but repeats follows where it is looked for', () => {
    const positions = [...range(1, 20), ...range(5, 10)];
    for (const after of range(1, 19)) {
      for (const offset of range(0, 19)) {
        const { reader } = startLane(positions, { after, offset });
        expect(reader.readAll()).toEqual(range(after + 1, 20));
      }
    }
    expect(startLane(positions, { after: 15, offset: 23 }).reader.readAll()).toEqual(range(16, 20));
  });

  it('is found though the log lost its beginning', () => {
    const { reader } = startLane(range(11, 30), { after: 15, low: 500 });
    expect(reader.readAll()).toEqual(range(16, 30));
  });

  it('goes on behind a position that the log lost, if nothing else is lost', () => {
    const { reader } = startLane(range(11, 30), { after: 10 });
    expect(reader.readAll()).toEqual(range(11, 30));
    expect(startLane(range(11, 30), { after: 9 }).reader.end()).toMatchObject({
      kind: 'halted',
      reason: 'gap',
      position: 10,
    });
  });

  it('is found though a batch came to a new log before its beginning', () => {
    for (const after of range(0, 19)) {
      const positions = [...range(11, 15), ...range(1, 20)];
      const { reader } = startLane(positions, { after });
      expect(reader.readAll()).toEqual(range(after + 1, 20));
      expect([...reader.halts]).toEqual([]);
    }
  });

  it('is found though a batch came behind a lost tail before that was filled again', () => {
    for (const after of range(0, 19)) {
      const positions = [...range(1, 5), ...range(11, 15), ...range(6, 20)];
      const { reader } = startLane(positions, { after });
      expect(reader.readAll()).toEqual(range(after + 1, 20));
      expect([...reader.halts]).toEqual([]);
    }
  });

  it('goes on from a gap as soon as what is missing comes behind it', () => {
    const { partition, reader } = startLane([...range(1, 5), ...range(11, 15)], { after: 3 });
    expect(reader.readAll()).toEqual([4, 5]);
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.append(range(6, 20));
    expect(reader.readAll(SOON_STEPS)).toEqual(range(6, 20));
  });

  it('drops repeats', () => {
    const { reader } = startLane([1, 1, 2, 3, 1, 2, 3, 4, 3, 4, 5]);
    expect(reader.readAll()).toEqual([1, 2, 3, 4, 5]);
  });

  it('halts at a gap, and goes on when the log is whole again', () => {
    const { partition, reader } = startLane([...range(1, 5), ...range(7, 9)]);
    expect(reader.readAll()).toEqual(range(1, 5));
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.replace(range(1, 9));
    expect(reader.readAll()).toEqual(range(6, 9));
  });

  it('forgets what halted it when the log is another one', () => {
    const { partition, lane, reader } = startLane([...range(1, 5), ...range(7, 9)]);
    reader.readAll();
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'gap', position: 6 });
    partition.replace(range(1, 9));
    lane.recheck();
    partition.run();
    expect(reader.readAll(SOON_STEPS)).toEqual(range(6, 9));
    expect(reader.halts).toEqual(new Set(['gap']));
  });

  it('halts at another event at a position that it read, and stays halted', () => {
    const { partition, reader } = startLane([...range(1, 5)]);
    expect(reader.readAll()).toEqual(range(1, 5));
    partition.append([3], 'other');
    partition.append(range(6, 8));
    for (let time = 0; time < 5; time += 1) {
      expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'another_event', position: 3 });
    }
    partition.replace(range(1, 8));
    expect(reader.readAll()).toEqual(range(6, 8));
  });

  it('halts when the log holds another history', () => {
    const { partition, lane, reader } = startLane(range(1, 5));
    reader.readAll();
    partition.replace([]);
    partition.append(range(1, 9), 'other');
    lane.recheck();
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'another_event', position: 5 });
  });

  it('halts at what it cannot decode, keeps what precedes it, and skips nothing', () => {
    const { partition, reader } = startLane(range(1, 3));
    partition.appendNonsense();
    partition.append([4]);
    expect(reader.readAll()).toEqual(range(1, 3));
    for (let time = 0; time < 5; time += 1) {
      expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'undecodable', position: 4 });
    }
  });

  it('shows that the log ends before a position, until that is filled again', () => {
    const { partition, reader } = startLane(range(1, 20), { after: 20 });
    expect(reader.end()).toMatchObject({ kind: 'continuous' });
    partition.replace(range(1, 5));
    expect(reader.end()).toMatchObject({ kind: 'halted', reason: 'lost_tail', position: 20 });
    partition.append(range(6, 22));
    expect(reader.readAll()).toEqual([21, 22]);
  });

  it('notices at once that the partition begins again', () => {
    const { partition, reader } = startLane(range(1, 20));
    reader.readAll();
    partition.replace(range(1, 5));
    expect(reader.readAll(SOON_STEPS)).toEqual([]);
    expect(reader.end(SOON_STEPS)).toMatchObject({ kind: 'halted', reason: 'lost_tail' });
  });

  it('finds its place in a log that was made anew and has grown past it unseen', () => {
    const { partition, reader } = startLane([...range(1, 10), ...range(1, 10)]);
    expect(reader.readAll()).toEqual(range(1, 10));
    partition.replace(range(1, 40));
    expect(reader.readAll()).toEqual(range(11, 40));
  });

  it('collects no more than its limits and one batch, and goes on when that is taken', () => {
    const { partition, lane } = startLane([]);
    partition.append(range(1, 500));
    lane.read({ lane: 3, after: 0, limit: 1 }, 0);
    partition.run();
    expect(partition.delivered).toBeGreaterThanOrEqual(MAX_EVENTS);
    expect(partition.delivered).toBeLessThan(MAX_EVENTS + MAX_BATCH);
    lane.read({ lane: 3, after: MAX_EVENTS, limit: 1 }, 0);
    partition.run();
    expect(partition.delivered).toBeGreaterThan(MAX_EVENTS + 1);
  });

  it('lets go of what nobody asked for in a while, and begins again when it is asked for', () => {
    const { partition, lane } = startLane(range(1, 5));
    lane.read({ lane: 3, after: 0, limit: 1 }, 0);
    partition.run();
    lane.tick(60_000);
    expect(lane.read({ lane: 3, after: 0, limit: 9 }, 60_000).events).toEqual([]);
    partition.run();
    expect(lane.read({ lane: 3, after: 0, limit: 9 }, 60_000).events).toHaveLength(5);
  });

  it('answers two that ask for different positions by turns', () => {
    const { partition, lane } = startLane(range(1, 9));
    const found = new Set<number>();
    for (let nowMs = 0; nowMs < 20_000 && found.size < 2; nowMs += 100) {
      for (const after of [2, 6]) {
        const { events } = lane.read({ lane: 3, after, limit: 1 }, nowMs);
        if (events[0] !== undefined) found.add(events[0].position);
        partition.step();
      }
    }
    expect(found).toEqual(new Set([3, 7]));
  });

  it('skips nothing and repeats nothing, whatever becomes of the log, once that is whole', () => {
    const chunk = fc.record({
      length: fc.integer({ min: 1, max: 12 }),
      repeatFrom: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    });
    const step = fc.constantFrom(
      'append',
      'append',
      'append',
      'anew',
      'lose tail',
      'stray anew',
      'stray tail',
      'read',
      'idle',
      'recheck',
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, chunk), { minLength: 1, maxLength: 25 }),
        fc.nat(12),
        fc.option(fc.nat(60), { nil: undefined }),
        (steps, after, offset) => {
          const { partition, lane, reader } = startLane(range(1, 12), { after, offset });
          const found: number[] = [];
          let last = 12;
          /** Whether it was read while it had a hole. */
          let hadHole = false;
          for (const [kind, { length, repeatFrom }] of steps) {
            if (kind === 'anew') partition.replace(range(1, length));
            if (kind === 'lose tail') partition.loseTail(length);
            if (kind === 'stray anew' || kind === 'stray tail') {
              // A batch is sent before anybody knows what is lost, and the rest thereafter.
              if (kind === 'stray anew') partition.replace([]);
              else partition.loseTail(length);
              partition.append(range(last + 1, last + length));
              if (repeatFrom !== undefined) partition.repeat(repeatFrom, length);
              last += length;
              partition.append(range(partition.firstLacking(), last));
            }
            if (kind === 'read') hadHole ||= partition.firstLacking() <= partition.lastPosition();
            if (kind === 'read') found.push(...reader.readAll());
            if (kind === 'idle') reader.idle();
            if (kind === 'recheck') lane.recheck();
            if (kind !== 'append') continue;
            if (repeatFrom !== undefined) partition.repeat(repeatFrom, length);
            partition.append(range(partition.firstLacking(), last + length));
            last += length;
          }
          partition.append(range(partition.firstLacking(), last + 1));
          found.push(...reader.readAll());
          expect(found).toEqual(range(after + 1, last + 1));
          reader.halts.delete('lost_tail');
          if (hadHole) reader.halts.delete('gap');
          expect([...reader.halts]).toEqual([]);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
