import { setTimeout as sleep } from 'node:timers/promises';
import { startReceiver } from '@billhook/testing';
import type { Receiver } from '@billhook/testing';
import { expect } from 'vitest';
import { connect } from './connection.ts';
import { dollars } from './invoice-calls.ts';
import type { System } from './system.ts';
import { readWebhook } from './webhook.ts';

const TIMEOUT_MS = 20_000;
const OK = 200;
const NOT_REGISTERED = 404;
const AWAY = 503;
const MAX_REPEATS = 5;
const REPEAT_AFTER_MS = 1_000;
const EVENT = 'invoice_created';

/** How much racing there is. */
export interface Race {
  /** At the same time. */
  readonly loops: number;
  /** One after the other, in each loop. */
  readonly rounds: number;
}

/**
 * Registers, mutates, unregisters and mutates in several loops at the same time. Each round has an
 * address of its own: one that is registered again within the clock tolerance is allowed to get what
 * was made in between.
 */
export async function raceRegistrations(system: System, { loops, rounds }: Race): Promise<void> {
  await using cleanUp = new AsyncDisposableStack();
  const open = async (): Promise<Receiver> => {
    const opened = await startReceiver();
    cleanUp.defer(() => opened.close());
    return opened;
  };
  const billhook = connect(system.addresses);
  cleanUp.defer(() => billhook.close());
  const receiver = await open();
  const witness = await open();
  await billhook.rest.register('*', witness.url);
  const wanted: string[] = [];
  const unwanted: string[] = [];
  const arrived = new Set<string>();
  let read = 0;
  const hasArrived = (event: string): boolean => {
    for (const request of receiver.requests.slice(read)) {
      arrived.add(`${request.path} ${readWebhook(request).invoiceId}`);
    }
    read = receiver.requests.length;
    return arrived.has(event);
  };

  const send = (path: string, url: string): Promise<Response> =>
    billhook.rest.send(path, JSON.stringify({ event: EVENT, url }));

  async function runLoop(loop: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const path = `/${loop}/${round}`;
      const url = new URL(path, receiver.url).href;
      await untilDone(() => send('/register', url));
      const early = await billhook.invoices.create({ amount: dollars(1) });
      const expected = `${path} ${early.invoiceId}`;
      wanted.push(expected);
      // What still waits when its endpoint goes is cancelled, so it has to come first.
      await receiver.waitFor(() => hasArrived(expected), TIMEOUT_MS);
      await untilDone(() => send('/unregister', url), NOT_REGISTERED);
      const late = await billhook.invoices.create({ amount: dollars(2) });
      unwanted.push(`${path} ${late.invoiceId}`);
    }
  }
  await Promise.all(Array.from({ length: loops }, (_, loop) => runLoop(loop)));

  // An endpoint that stays gets everything: when it has, the dispatcher is past all of it.
  await witness.waitFor(2 * loops * rounds, TIMEOUT_MS);
  expect(wanted.filter((event) => !hasArrived(event))).toEqual([]);
  expect(unwanted.filter(hasArrived)).toEqual([]);
}

/**
 * Repeats a call that is answered 503, as the answer asks for: on a busy machine a service may be taken for
 * away that does not answer within a second.
 *
 * @param alreadyDone what a repeated call is answered where the one before was carried out in spite of it.
 */
async function untilDone(send: () => Promise<Response>, alreadyDone = OK): Promise<void> {
  for (let repeats = 0; ; repeats += 1) {
    const response = await send();
    const { status } = response;
    if (status === OK || (repeats > 0 && status === alreadyDone)) return;
    if (status !== AWAY || repeats === MAX_REPEATS) {
      throw new Error(`${response.url} answered ${status}: ${await response.text()}`);
    }
    await sleep(REPEAT_AFTER_MS);
  }
}
