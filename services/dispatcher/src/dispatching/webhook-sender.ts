import type { Log } from '@billhook/runtime';

import type { AttemptOutcome, Delivery } from '../engine/delivery.ts';
import type { SendRequest } from '../http/exchange.ts';
import type { Sender } from '../http/sender.ts';
import type { SubscriptionView } from '../subscriptions/view.ts';
import type { WatchedEndpoint } from '../subscriptions/watched-endpoint.ts';
import { PING_BODY } from '../webhook/body.ts';
import type { WebhookHeaders } from '../webhook/headers.ts';
import { sign, timestampOf } from '../webhook/signature.ts';
import type { SigningTarget } from './targets.ts';

/** Signs and POSTs. Each call ends with one outcome, never within the call itself. */
export interface WebhookSender {
  send(delivery: Delivery, onDone: (outcome: AttemptOutcome) => void): void;
  ping(
    endpoint: WatchedEndpoint,
    timeoutMs: number,
    onDone: (outcome: AttemptOutcome) => void,
  ): void;
}

/** What is said of one POST. */
interface Message {
  readonly id: string;
  readonly attempt: number;
  readonly sequence: number | undefined;
  readonly recordedAtMs: number;
  readonly traceparent: string | undefined;
  readonly body: Buffer;
}

interface Post extends Pick<SendRequest, 'timeoutMs' | 'mayBegin'> {
  readonly message: Message;
}

/** Makes the sender. */
export function createWebhookSender(deps: {
  readonly sender: Sender;
  readonly view: SubscriptionView;
  readonly targetOf: (endpoint: WatchedEndpoint) => SigningTarget;
  readonly headersOf: WebhookHeaders;
  /** Whether deliveries may still begin: a process that was frozen may have lost its lanes. */
  readonly maySend: () => boolean;
  readonly log: Log;
  /** The deadline of an exchange. An endpoint may have a shorter one. */
  readonly timeoutMs: number;
}): WebhookSender {
  const { sender, view, targetOf, headersOf, maySend, log } = deps;

  function post(
    endpoint: WatchedEndpoint,
    { message, timeoutMs = deps.timeoutMs, mayBegin }: Post,
    onDone: (outcome: AttemptOutcome) => void,
  ): void {
    let target: SigningTarget;
    try {
      target = targetOf(endpoint);
    } catch (error) {
      log.error({ err: error, endpoint: endpoint.endpointId }, 'a secret cannot be read');
      setImmediate(onDone, refused('its secret or its headers cannot be read'));
      return;
    }
    const { id, body } = message;
    const sentAtMs = Date.now();
    const signature = sign(target.keys, { id, sentAtMs, body });
    const timestampSeconds = timestampOf(sentAtMs);
    const { endpointId } = endpoint;
    const ownHeaders = target.headers;
    const headers = headersOf({ ...message, timestampSeconds, signature, endpointId, ownHeaders });
    const bounds = { mayBegin, timeoutMs: Math.min(timeoutMs, endpoint.timeoutMs ?? timeoutMs) };
    sender.send({ target: target.address, headers, body, ...bounds }, onDone);
  }

  return {
    send(delivery, onDone) {
      const { event, attempt, endpointLane } = delivery;
      const endpoint = view.endpoint(endpointLane.endpoint.id);
      if (endpoint === undefined) {
        setImmediate(onDone, refused('it was unregistered'));
        return;
      }
      post(endpoint, { message: { ...event, attempt }, mayBegin: maySend }, onDone);
    },
    ping(endpoint, timeoutMs, onDone) {
      const message = {
        id: `ping_${crypto.randomUUID().replaceAll('-', '')}`,
        attempt: 1,
        sequence: undefined,
        recordedAtMs: Date.now(),
        traceparent: undefined,
        body: PING_BODY,
      };
      post(endpoint, { message, timeoutMs }, onDone);
    },
  };
}

function refused(detail: string): AttemptOutcome {
  return { kind: 'refused', durationMs: 0, detail };
}
