import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** One request, as its bytes arrived. */
export interface ReceivedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** When the body was complete, in milliseconds of the wall clock. */
  readonly receivedAtMs: number;
}

/** What a receiver does with a request. */
export type ReceiverAnswer =
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Buffer;
      /** Waited before the answer. */
      readonly delayMs?: number;
    }
  /** Says nothing until the sender or the receiver closes. */
  | { readonly kind: 'hang' }
  /** Breaks the connection off with a TCP reset, after bytes that need not be HTTP. */
  | { readonly kind: 'reset'; readonly after?: string | Buffer }
  /** Writes bytes that need not be HTTP, and closes. */
  | { readonly kind: 'garbage'; readonly bytes: string | Buffer }
  /** Sends its body byte by byte, without an end. */
  | { readonly kind: 'trickle'; readonly status: number; readonly everyMs: number };

export type AnswerRequest = (request: ReceivedRequest) => ReceiverAnswer | Promise<ReceiverAnswer>;

export interface ReceiverOptions {
  /** 200 without a body unless said otherwise. */
  readonly answer?: AnswerRequest;
  /** A free one unless said otherwise; the port of a closed receiver lets it come back. */
  readonly port?: number;
  /** How many requests are kept; all unless said otherwise, which a long run has no room for. */
  readonly keepLatest?: number;
}

/** A real HTTP server on loopback that keeps what it was sent. */
export interface Receiver {
  /** `http://127.0.0.1:<port>/webhook`; any other path is received as well. */
  readonly url: string;
  readonly port: number;
  /** In the order in which they were complete; grows while the receiver is open. */
  readonly requests: readonly ReceivedRequest[];
  /** How many connections were made to it. */
  readonly connections: number;
  /** Changes the answer to the requests that come from now on. */
  answer(respond: AnswerRequest): void;
  /**
   * Waits until so many requests came, or until the condition holds.
   *
   * @throws Error that says how many came, when the time is over.
   */
  waitFor(
    condition: number | ((requests: readonly ReceivedRequest[]) => boolean),
    timeoutMs: number,
  ): Promise<readonly ReceivedRequest[]>;
  /** Breaks open connections off. Calling it again changes nothing. */
  close(): Promise<void>;
}

const accept: AnswerRequest = () => ({ kind: 'respond', status: 200 });

/** Starts a receiver on loopback. The test closes it. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const waiting = new Set<() => void>();
  const closing = new AbortController();
  const { keepLatest = Infinity } = options;
  let respond = options.answer ?? accept;

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await receive(incoming);
    requests.push(request);
    if (requests.length > keepLatest) requests.shift();
    waiting.forEach((check) => check());
    await send(await respond(request), response, closing.signal);
  };
  const server = createServer((incoming, response) => {
    // A sender that went away ends its own request only.
    serve(incoming, response).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const port = portOf(server);
  let connections = 0;
  server.on('connection', () => (connections += 1));

  return {
    url: `http://127.0.0.1:${port}/webhook`,
    port,
    requests,
    get connections() {
      return connections;
    },
    answer(next) {
      respond = next;
    },
    waitFor: (condition, timeoutMs) => waitFor({ requests, waiting }, condition, timeoutMs),
    async close() {
      closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('the receiver does not listen on a TCP port');
  }
  return address.port;
}

async function receive(incoming: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  await finished(incoming);
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    body: Buffer.concat(chunks),
    receivedAtMs: Date.now(),
  };
}

async function send(
  answer: ReceiverAnswer,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const socket = response.socket;
  switch (answer.kind) {
    case 'respond':
      await sleep(answer.delayMs ?? 0, undefined, { signal });
      response.writeHead(answer.status, answer.headers).end(answer.body);
      return;
    case 'hang':
      return;
    case 'reset':
      if (answer.after === undefined) socket?.resetAndDestroy();
      else socket?.write(answer.after, () => socket.resetAndDestroy());
      return;
    case 'garbage':
      socket?.end(answer.bytes);
      return;
    case 'trickle':
      response.writeHead(answer.status);
      while (!response.destroyed) {
        response.write('.');
        await sleep(answer.everyMs, undefined, { signal });
      }
  }
}

function waitFor(
  receiver: { readonly requests: readonly ReceivedRequest[]; readonly waiting: Set<() => void> },
  condition: number | ((requests: readonly ReceivedRequest[]) => boolean),
  timeoutMs: number,
): Promise<readonly ReceivedRequest[]> {
  const { requests, waiting } = receiver;
  const holds = () =>
    typeof condition === 'number' ? requests.length >= condition : condition(requests);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      waiting.delete(check);
      const wanted = typeof condition === 'number' ? `${condition} requests` : 'the condition';
      reject(new Error(`waited ${timeoutMs} ms for ${wanted}; ${requests.length} requests came`));
    }, timeoutMs);
    const check = () => {
      if (holds()) {
        clearTimeout(timer);
        waiting.delete(check);
        resolve(requests);
      }
    };
    waiting.add(check);
    check();
  });
}
