import { hash } from 'node:crypto';
import { Client } from 'undici';
import type { Dispatcher } from 'undici';
import { answerQuestions } from '../helpers/answer-questions.ts';
import { microsecondsNow, secondsSince } from '../measuring/clock.ts';
import { summariseLatencies } from '../measuring/spread.ts';
import type { RawLoad, RawQuestions } from './raw-sender.ts';

const BODY = '{"event":"invoice_created","data":{"invoice_id":"';
const BODY_END = '","amount":200,"status":"pending"}}';
const ID_DIGITS = 32;
const SECRET_PREFIX = 'whsec_';

/** The connections of an origin are kept between loads, as Billhook keeps its own. */
const clientsOf = new Map<string, Client[]>();
let sent = 0;

const answers: RawQuestions = {
  async send(load) {
    const key = createKey(Buffer.from(load.secret.slice(SECRET_PREFIX.length), 'base64'));
    const clients = takeClients(load.origin, load.concurrency);
    const latenciesMs: number[] = [];
    const startedAtMicros = microsecondsNow();
    let begun = 0;
    const next = (): number | undefined => {
      begun += 1;
      return begun <= load.requests ? (sent += 1) : undefined;
    };
    const measured = load.concurrency === 1 ? latenciesMs : undefined;
    await Promise.all(clients.map((client) => run(client, { ...load, key, next, measured })));
    return { seconds: secondsSince(startedAtMicros), latencies: summariseLatencies(latenciesMs) };
  },
};
answerQuestions(answers);

interface Running extends RawLoad {
  readonly key: HmacKey;
  /** Gives each request a number; undefined when there are no more to send. */
  readonly next: () => number | undefined;
  readonly measured: number[] | undefined;
}

function takeClients(origin: string, count: number): Client[] {
  const clients = clientsOf.get(origin) ?? [];
  while (clients.length < count) clients.push(new Client(origin, { pipelining: 1 }));
  clientsOf.set(origin, clients);
  return clients.slice(0, count);
}

/** Sends one request after the other over a connection, with nothing in between. */
function run(client: Client, { path, key, next, measured }: Running): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let beganAtMs = 0;

  function sendNext(): void {
    const number = next();
    if (number === undefined) {
      resolve();
      return;
    }
    beganAtMs = performance.now();
    client.dispatch(signedRequest(path, key, number), handler);
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onResponseStart(_controller, status) {
      if (status !== 200) reject(new Error(`the receiver answered ${status}`));
    },
    onResponseData() {},
    onResponseEnd() {
      measured?.push(performance.now() - beganAtMs);
      sendNext();
    },
    onResponseError: (_controller, error) => reject(error),
  };
  sendNext();
  return promise;
}

/** As many bytes as a delivery of Billhook has, under the same headers, with a signature. */
function signedRequest(path: string, key: HmacKey, number: number): Dispatcher.DispatchOptions {
  const id = `evt_${number.toString(16).padStart(ID_DIGITS, '0')}`;
  const seconds = Math.floor(Date.now() / 1_000);
  const body = Buffer.from(`${BODY}raw${number.toString().padStart(ID_DIGITS, '0')}${BODY_END}`);
  const signature = hmac(key, `${id}.${seconds}.`, body);
  const headers = [
    'content-type',
    'application/json',
    'user-agent',
    'Billhook/0.1.0',
    'webhook-id',
    id,
    'webhook-timestamp',
    `${seconds}`,
    'webhook-signature',
    `v1,${signature}`,
    'billhook-attempt',
    '1',
    'billhook-event-time',
    '2024-03-14T15:00:00.123Z',
    'billhook-endpoint',
    'ep_0123456789abcdef0123456789abcdef',
    'traceparent',
    '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
    'billhook-sequence',
    '1',
  ];
  return { method: 'POST', path, headers, body };
}

interface HmacKey {
  readonly inner: Buffer;
  readonly outer: Buffer;
}

const BLOCK_BYTES = 64;
const input = Buffer.alloc(1_024);

function createKey(secret: Buffer): HmacKey {
  const pad = (byte: number) =>
    Buffer.alloc(BLOCK_BYTES, byte).map((value, index) => value ^ (secret[index] ?? 0));
  return { inner: Buffer.from(pad(0x36)), outer: Buffer.from(pad(0x5c)) };
}

/** As cheap as Billhook's own (`services/dispatcher/src/webhook/signature.ts`). */
function hmac({ inner, outer }: HmacKey, prefix: string, body: Buffer): string {
  input.set(inner);
  const bodyAt = BLOCK_BYTES + input.write(prefix, BLOCK_BYTES, 'latin1');
  input.set(body, bodyAt);
  const digest = hash('sha256', input.subarray(0, bodyAt + body.length), 'latin1');
  input.set(outer);
  const end = BLOCK_BYTES + input.write(digest, BLOCK_BYTES, 'latin1');
  return hash('sha256', input.subarray(0, end), 'base64');
}
