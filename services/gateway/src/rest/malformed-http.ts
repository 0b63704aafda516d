import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Problem, problemBody, problemContentType } from './problem.ts';
import { BODY_LIMIT_BYTES } from './request-checks.ts';

/** How long a refused connection may still talk, so that the answer is read before the reset. */
const LINGER_MS = 500;

const lingering = new WeakSet<Socket>();

/**
 * Answers bytes that are no HTTP request. There is no request to answer to, so the answer goes
 * straight to the socket, which then closes.
 */
export function answerMalformedHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (lingering.has(socket)) return;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  lingering.add(socket);
  socket.end(rawAnswer(problemOf(error)));
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/**
 * Answers `Expect` headers: a client that asks before it sends a body over the limit is refused
 * without the body, and an expectation other than `100-continue` is not met.
 */
export function answerExpectations(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    const isTooLarge = Number(request.headers['content-length']) > BODY_LIMIT_BYTES;
    if (!isTooLarge) response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const problem = new Problem(
      'expectation_failed',
      'The only expectation that is met is 100-continue. Leave the header out.',
    );
    const body = problemBody(problem);
    response.writeHead(problem.status, headersFor(body));
    response.end(body);
  });
}

function problemOf(error: NodeJS.ErrnoException): Problem {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new Problem('request_timeout', 'The request was not complete in time. Send it faster.');
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new Problem(
      'headers_too_large',
      'The headers are too large. Send fewer or shorter ones.',
    );
  }
  return new Problem('malformed_request', 'The bytes received are not a valid HTTP/1.1 request.');
}

function rawAnswer(problem: Problem): string {
  const body = problemBody(problem);
  const headers = Object.entries(headersFor(body)).map(([name, value]) => `${name}: ${value}`);
  const statusLine = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`;
  return [statusLine, ...headers, '', body].join('\r\n');
}

function headersFor(body: string): Readonly<Record<string, string>> {
  return {
    'content-type': problemContentType,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  };
}
