import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CommandQueue } from './command-queue.ts';

const LIMITS = { maxCommands: 10, maxBytes: 1_000, maxBatchCommands: 10, maxBatchBytes: 1_000 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('a wait ends as soon as so many commands are there', async () => {
  const queue = startQueue();
  queue.add();
  const reached = queue.noteEnd(2, 1_000);
  await vi.advanceTimersByTimeAsync(999);
  expect(reached()).toBe(false);
  queue.add();
  await vi.advanceTimersByTimeAsync(0);
  expect(reached()).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test('a wait ends after its time, and leaves nothing behind', async () => {
  const queue = startQueue();
  const reached = queue.noteEnd(2, 5);
  queue.add();
  await vi.advanceTimersByTimeAsync(5);
  expect(reached()).toBe(true);
  queue.add();
  expect(queue.commands.takeBatch(0)).toHaveLength(2);
});

test('nobody waits for commands that are there', async () => {
  const queue = startQueue();
  queue.add();
  const reached = queue.noteEnd(1, 1_000);
  await vi.advanceTimersByTimeAsync(0);
  expect(reached()).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

function startQueue() {
  const commands = new CommandQueue<{ tenant: string; streamId: string }, void>(LIMITS);
  return {
    commands,
    add() {
      const request = { command: { tenant: 'default', streamId: 'a' }, bytes: 1 };
      commands.push({ request, lane: 0, resolve: () => undefined, reject: () => undefined });
    },
    /** Begins a wait. Returns what tells whether it has ended. */
    noteEnd(count: number, timeoutMs: number): () => boolean {
      let hasEnded = false;
      void commands.reaches(count, timeoutMs).then(() => (hasEnded = true));
      return () => hasEnded;
    },
  };
}
