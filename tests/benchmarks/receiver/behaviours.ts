import type { Socket } from 'node:net';

/**
 * How a receiver answers every request: well, or
 * - `refusing`: with 503;
 * - `hanging`: not at all;
 * - `trickling`: 200, and then a body byte by byte that does not end;
 * - `resetting`: 200, and a reset in the middle of the body;
 * - `slow`: well, at the very deadline of the delivery;
 * - `garbage`: with what is no HTTP;
 * - `huge`: 200, and as much body as is taken.
 */
export const BEHAVIOURS = [
  'good',
  'refusing',
  'hanging',
  'trickling',
  'resetting',
  'slow',
  'garbage',
  'huge',
] as const;

export type Behaviour = (typeof BEHAVIOURS)[number];

/** Answers the request that came over a connection. */
export type Answer = (socket: Socket) => void;

const GOOD = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
const ENDLESS = 'HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n';
const NO_HTTP = Buffer.from([0, 255, 13, 10, 13, 10]);
const TRICKLE_EVERY_MS = 100;
const CHUNK = Buffer.alloc(64 * 1_024, '.');

/** @param deadlineMs of a delivery. */
export function createAnswer(behaviour: Behaviour, deadlineMs: number): Answer {
  switch (behaviour) {
    case 'good':
      return (socket) => socket.write(GOOD, 'latin1');
    case 'refusing':
      return (socket) => socket.write(REFUSAL, 'latin1');
    case 'hanging':
      return () => undefined;
    case 'trickling':
      return trickle;
    case 'resetting':
      return (socket) => socket.write(`${ENDLESS}half of`, () => socket.resetAndDestroy());
    case 'slow':
      return (socket) => void setTimeout(() => socket.write(GOOD), deadlineMs);
    case 'garbage':
      return (socket) => socket.end(NO_HTTP);
    case 'huge':
      return (socket) => socket.write(ENDLESS, () => flood(socket));
  }
}

function trickle(socket: Socket): void {
  socket.write(ENDLESS);
  const timer = setInterval(() => socket.write('.'), TRICKLE_EVERY_MS);
  socket.once('close', () => clearInterval(timer));
}

/** Writes the next piece when the one before is gone. */
function flood(socket: Socket): void {
  if (socket.writable) socket.write(CHUNK, () => flood(socket));
}
