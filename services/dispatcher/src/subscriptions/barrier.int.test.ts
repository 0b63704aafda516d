import { createLog } from '@billhook/runtime';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createRevisionBarrier } from './barrier.ts';
import type { RevisionBarrier } from './barrier.ts';
import { createGrpcSource, createSubscriptionClient } from './grpc-source.ts';
import { FORMAT } from './messages.fixture.ts';
import { startSubscriptionSet } from './subscription-set.fixture.ts';
import type { SubscriptionSet } from './subscription-set.fixture.ts';
import { createSubscriptionView } from './view.ts';
import type { SubscriptionView } from './view.ts';
import { startWatch } from './watch.ts';

const never = new AbortController().signal;
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

describe('the revision barrier', () => {
  it('shows a registration that came before it, though the watch is slower', async () => {
    const { set, view, barrier } = await startAll();
    set.register('ep_1');
    expect(await barrier.awaitCurrent(never)).toBe(1);
    expect(view.endpoint('ep_1')).toBeDefined();
    set.unregister('ep_1');
    expect(await barrier.awaitCurrent(never)).toBe(2);
    expect(view.endpoint('ep_1')).toBeUndefined();
  });

  it('does not take the answer to a question that was asked before', async () => {
    const { set, view, barrier } = await startAll();
    const send = set.holdNextRevision();
    const early = barrier.awaitCurrent(never);
    await expect.poll(() => set.revisionCalls()).toBe(1);
    set.stallOpenStreams();
    set.register('ep_1');
    const late = barrier.awaitCurrent(never);
    send();
    expect(await early).toBe(0);
    expect(view.endpoint('ep_1')).toBeUndefined();
    expect(await late).toBe(1);
    expect(view.endpoint('ep_1')).toBeDefined();
  });

  it('asks once for all who came while a question was under way', async () => {
    const { set, barrier } = await startAll();
    const send = set.holdNextRevision();
    const first = barrier.awaitCurrent(never);
    await expect.poll(() => set.revisionCalls()).toBe(1);
    const others = Array.from({ length: 20 }, () => barrier.awaitCurrent(never));
    send();
    await Promise.all([first, ...others]);
    expect(set.revisionCalls()).toBe(2);
  });

  it('opens the watch anew when the view makes no step', async () => {
    const { set, view, barrier } = await startAll();
    set.register('ep_1');
    await barrier.awaitCurrent(never);
    set.stallOpenStreams();
    set.register('ep_2');
    await barrier.awaitCurrent(never);
    expect(view.endpoint('ep_2')).toBeDefined();
    expect(set.watchRequests.slice(1)).toEqual([
      { revision: 1n, eventId: 'evt_1', format: FORMAT },
    ]);
  });

  it('opens the watch once, however many wait', async () => {
    const { set, barrier } = await startAll();
    set.register('ep_1');
    await barrier.awaitCurrent(never);
    set.stallOpenStreams();
    set.register('ep_2');
    await Promise.all(Array.from({ length: 20 }, () => barrier.awaitCurrent(never)));
    expect(set.watchRequests).toHaveLength(2);
  });

  it('lets a long snapshot arrive', async () => {
    const set = await startSet();
    set.slowSnapshots(200);
    for (let number = 1; number <= 5; number += 1) set.register(`ep_${number}`);
    const { view, barrier } = follow(set);
    await barrier.awaitCurrent(never);
    expect([...view.endpoints()]).toHaveLength(5);
    expect(set.watchRequests).toHaveLength(1);
  });

  it('waits while nobody can answer, and goes on when somebody does', async () => {
    const first = await startSubscriptionSet();
    await first.stop();
    const { view, barrier } = follow(first);
    const current = barrier.awaitCurrent(never);
    const second = await startSubscriptionSet(first.port);
    stops.push(() => second.stop());
    second.register('ep_1');
    await current;
    await barrier.awaitCurrent(never);
    expect(view.endpoint('ep_1')).toBeDefined();
  });

  it('ends only by the signal while nobody can answer', async () => {
    const set = await startSubscriptionSet();
    await set.stop();
    const { barrier } = follow(set);
    const waiting = barrier.awaitCurrent(AbortSignal.timeout(300));
    await expect(waiting).rejects.toThrow(/timeout/);
  });

  it('asks nothing for somebody who has left', async () => {
    const { set, barrier } = await startAll();
    await expect(barrier.awaitCurrent(AbortSignal.abort())).rejects.toThrow(/aborted/);
    await barrier.awaitCurrent(never);
    expect(set.revisionCalls()).toBe(1);
  });
});

describe('the watch', () => {
  it('resumes after a break where the view stands', async () => {
    const { set, barrier, changed } = await startAll();
    set.register('ep_1');
    await barrier.awaitCurrent(never);
    set.breakStreams();
    set.register('ep_2');
    await barrier.awaitCurrent(never);
    expect(set.watchRequests.at(-1)).toEqual({ revision: 1n, eventId: 'evt_1', format: FORMAT });
    expect(changed).toEqual(['ep_1', 'ep_2']);
  });

  it('takes a new snapshot when the history is another one', async () => {
    const { set, view, barrier, changed } = await startAll();
    set.register('ep_1');
    await barrier.awaitCurrent(never);
    set.rewriteHistory();
    set.register('ep_2');
    set.breakStreams();
    await expect.poll(() => view.revision()).toBe(2);
    expect([...view.endpoints()].map((each) => each.endpointId)).toEqual(['ep_1', 'ep_2']);
    expect(changed).toEqual(['ep_1', 'ep_2']);
  });

  it('starts from a snapshot after a message that makes no sense', async () => {
    const { set, barrier } = await startAll();
    set.register('ep_1');
    await barrier.awaitCurrent(never);
    set.sendNonsense();
    await expect.poll(() => set.watchRequests.length).toBe(2);
    expect(set.watchRequests.at(-1)).toMatchObject({ revision: 0n, eventId: '' });
  });
});

interface Followed {
  readonly view: SubscriptionView;
  readonly barrier: RevisionBarrier;
  /** The endpoints that were reported as changed, in order. */
  readonly changed: readonly string[];
}

async function startAll(): Promise<Followed & { readonly set: SubscriptionSet }> {
  const set = await startSet();
  const followed = follow(set);
  await expect.poll(() => set.watchRequests.length).toBe(1);
  return { set, ...followed };
}

async function startSet(): Promise<SubscriptionSet> {
  const set = await startSubscriptionSet();
  stops.push(() => set.stop());
  return set;
}

function follow(set: SubscriptionSet): Followed {
  const log = createLog({ level: 'silent', service: 'test' });
  const client = createSubscriptionClient(`127.0.0.1:${set.port}`);
  const source = createGrpcSource(client);
  const view = createSubscriptionView();
  const changed: string[] = [];
  const watch = startWatch({ source, view, log }, (changes) => {
    changed.push(...changes.changed.map((each) => each.endpointId));
  });
  onTestFinished(async () => {
    await watch.close();
    client.close();
  });
  return { view, barrier: createRevisionBarrier({ source, watch, log }), changed };
}
