import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startReceiver } from '@billhook/testing';
import type { AnswerRequest, Receiver, ReceiverAnswer } from '@billhook/testing';
import { readWebhook } from '../system/webhook.ts';
import type { Acknowledged, Arrival } from './audit.ts';

/**
 * How an endpoint behaves, as long as it is not mended: always well; failing, resetting the
 * connection or late at random; never answering; or any of these at random.
 */
export type Behaviour = 'healthy' | 'failing' | 'resetting' | 'slow' | 'hanging' | 'erratic';

/** Endpoints of several kinds, with one log of what came to them. */
export interface Endpoints {
  readonly names: readonly string[];
  readonly urls: readonly string[];
  readonly arrivals: readonly Arrival[];
  /** The names of those that are healthy from the start. */
  readonly healthy: readonly string[];
  hasAccepted(endpoint: string, event: Acknowledged): boolean;
  /** Makes all of them healthy. */
  mend(): void;
  /** Waits until each has accepted all that was acknowledged. */
  waitForAll(acknowledged: readonly Acknowledged[], timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How often a failing, resetting or slow endpoint does so. */
const FAILURE_RATE = 0.3;
/** Long beside what a good answer takes, and well within a delivery's deadline. */
const SLOW_MS = 400;
/** How often an erratic endpoint does not answer at all: an attempt then takes its whole deadline. */
const HANG_RATE = 0.02;
const POLL_MS = 100;

const accept: ReceiverAnswer = { kind: 'respond', status: 200 };
const acceptLate: ReceiverAnswer = { ...accept, delayMs: SLOW_MS };
const fail: ReceiverAnswer = { kind: 'respond', status: 500 };
const reset: ReceiverAnswer = { kind: 'reset' };
const hang: ReceiverAnswer = { kind: 'hang' };

/** Starts an endpoint of each behaviour. */
export async function startEndpoints(behaviours: readonly Behaviour[]): Promise<Endpoints> {
  const arrivals: Arrival[] = [];
  const accepted = new Set<string>();
  let mended = false;

  const answerAs =
    (endpoint: string, behaviour: Behaviour): AnswerRequest =>
    (request) => {
      const answer = mended ? accept : chooseAnswer(behaviour);
      const isAccepted = answer.kind === 'respond' && answer.status === 200;
      const { id, invoiceId, sequence } = readWebhook(request);
      const facts = { endpoint, invoiceId, sequence, webhookId: id };
      const bodyHash = createHash('sha256').update(request.body).digest('base64');
      arrivals.push({
        ...facts,
        bodyHash,
        accepted: isAccepted,
        arrivedAtMs: request.receivedAtMs,
      });
      if (isAccepted) accepted.add(nameOf(endpoint, facts));
      return answer;
    };

  const names = behaviours.map((behaviour, index) => `${behaviour}-${index}`);
  const receivers: Receiver[] = [];
  for (const [index, behaviour] of behaviours.entries()) {
    const answer = answerAs(`${behaviour}-${index}`, behaviour);
    // What came is in `arrivals`, in less room.
    receivers.push(await startReceiver({ answer, keepLatest: 0 }));
  }
  return {
    names,
    urls: receivers.map(({ url }) => url),
    arrivals,
    healthy: names.filter((_, index) => behaviours[index] === 'healthy'),
    hasAccepted: (endpoint, event) => accepted.has(nameOf(endpoint, event)),
    mend() {
      mended = true;
    },
    async waitForAll(acknowledged, timeoutMs) {
      const giveUpAtMs = performance.now() + timeoutMs;
      const wanted = names.flatMap((name) => acknowledged.map((event) => nameOf(name, event)));
      // What is still missing then is what the audit tells.
      while (performance.now() < giveUpAtMs && !wanted.every((one) => accepted.has(one))) {
        await sleep(POLL_MS);
      }
    },
    async close() {
      await Promise.all(receivers.map((receiver) => receiver.close()));
    },
  };
}

function nameOf(endpoint: string, { invoiceId, sequence }: Acknowledged): string {
  return `${endpoint}/${invoiceId}/${sequence}`;
}

function chooseAnswer(behaviour: Behaviour): ReceiverAnswer {
  const dice = Math.random();
  switch (behaviour) {
    case 'healthy':
      return accept;
    case 'failing':
      return dice < FAILURE_RATE ? fail : accept;
    case 'resetting':
      return dice < FAILURE_RATE ? reset : accept;
    case 'slow':
      return dice < FAILURE_RATE ? acceptLate : accept;
    case 'hanging':
      return hang;
    case 'erratic':
      if (dice < HANG_RATE) return hang;
      return [fail, reset, acceptLate, accept][Math.floor(Math.random() * 4)] ?? accept;
  }
}
