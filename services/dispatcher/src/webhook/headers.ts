import { formatTime } from './time.ts';
import { continueTrace } from './traceparent.ts';

/** What the headers of one attempt say. */
export interface AttemptFacts {
  /** `evt_` and 32 hex digits: the `webhook-id`, the same for every endpoint, attempt and replay. */
  readonly id: string;
  /** Seconds since 1970, as they were signed. */
  readonly timestampSeconds: number;
  readonly signature: string;
  readonly endpointId: string;
  /** 1, 2, 3, ... */
  readonly attempt: number;
  /** The invoice's event number: 1, 2, 3, ... A ping belongs to no invoice and has none. */
  readonly sequence: number | undefined;
  /** When the event was recorded, or the ping made. */
  readonly recordedAtMs: number;
  /** The trace that the event came with. */
  readonly traceparent: string | undefined;
  /**
   * The headers of the endpoint's own: names and values in turn. None of them is one of the names
   * below: those were refused when they were set.
   */
  readonly ownHeaders: readonly string[];
}

/** Builds the headers of an attempt: names and values in turn, as undici takes them fastest. */
export type WebhookHeaders = (facts: AttemptFacts) => string[];

/**
 * Makes the builder of headers. `host` and `content-length` are not among them: undici writes both
 * from what it sends.
 *
 * @param options.version Billhook's, for the `user-agent`.
 * @param options.random gives numbers from 0 up to 1, for the ids of spans.
 */
export function createWebhookHeaders(options: {
  readonly version: string;
  readonly random: () => number;
}): WebhookHeaders {
  const userAgent = `Billhook/${options.version}`;
  const { random } = options;
  return (facts) => {
    const headers = [
      'content-type',
      'application/json',
      'user-agent',
      userAgent,
      'webhook-id',
      facts.id,
      'webhook-timestamp',
      `${facts.timestampSeconds}`,
      'webhook-signature',
      facts.signature,
      'billhook-attempt',
      `${facts.attempt}`,
      'billhook-event-time',
      formatTime(facts.recordedAtMs),
      'billhook-endpoint',
      facts.endpointId,
      'traceparent',
      continueTrace(facts.traceparent, random),
    ];
    if (facts.sequence !== undefined) headers.push('billhook-sequence', `${facts.sequence}`);
    for (const text of facts.ownHeaders) headers.push(text);
    return headers;
  };
}
