import { setTimeout as sleep } from 'node:timers/promises';
import { startReceiver } from '@billhook/testing';
import type { AnswerRequest, Receiver, ReceiverAnswer } from '@billhook/testing';
import { readWebhook } from '../system/webhook.ts';
import type { Acknowledged, Arrival } from './audit.ts';

/** How an endpoint behaves, as long as it is not mended. */
export type Behaviour = 'healthy' | 'failing' | 'resetting' | 'hanging';

/** Endpoints of several kinds, with one log of what came to them. */
export interface Endpoints {
  readonly names: readonly string[];
  readonly urls: readonly string[];
  readonly arrivals: readonly Arrival[];
  /** Makes all of them healthy. */
  mend(): void;
  /** Waits until each has accepted all that was acknowledged. */
  waitForAll(acknowledged: readonly Acknowledged[], timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How often a failing or resetting endpoint does so. */
const FAILURE_RATE = 0.3;
const POLL_MS = 100;

const accept: ReceiverAnswer = { kind: 'respond', status: 200 };

/** Starts an endpoint of each behaviour. */
export async function startEndpoints(behaviours: readonly Behaviour[]): Promise<Endpoints> {
  const arrivals: Arrival[] = [];
  const accepted = new Set<string>();
  let mended = false;

  const answerAs =
    (endpoint: string, behaviour: Behaviour): AnswerRequest =>
    (request) => {
      const answer = mended ? accept : chooseAnswer(behaviour);
      const { id, invoiceId, sequence, body } = readWebhook(request);
      const facts = { endpoint, invoiceId, sequence, webhookId: id, body };
      arrivals.push({ ...facts, accepted: answer === accept, arrivedAtMs: request.receivedAtMs });
      if (answer === accept) accepted.add(`${endpoint}/${invoiceId}/${sequence}`);
      return answer;
    };

  const names = behaviours.map((behaviour, index) => `${behaviour}-${index}`);
  const receivers: Receiver[] = [];
  for (const [index, behaviour] of behaviours.entries()) {
    receivers.push(await startReceiver({ answer: answerAs(`${behaviour}-${index}`, behaviour) }));
  }
  return {
    names,
    urls: receivers.map(({ url }) => url),
    arrivals,
    mend() {
      mended = true;
    },
    async waitForAll(acknowledged, timeoutMs) {
      const giveUpAtMs = performance.now() + timeoutMs;
      const wanted = names.flatMap((name) =>
        acknowledged.map(({ invoiceId, sequence }) => `${name}/${invoiceId}/${sequence}`),
      );
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

function chooseAnswer(behaviour: Behaviour): ReceiverAnswer {
  switch (behaviour) {
    case 'healthy':
      return accept;
    case 'failing':
      return Math.random() < FAILURE_RATE ? { kind: 'respond', status: 500 } : accept;
    case 'resetting':
      return Math.random() < FAILURE_RATE ? { kind: 'reset' } : accept;
    case 'hanging':
      return { kind: 'hang' };
  }
}
