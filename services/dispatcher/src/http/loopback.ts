/** Receivers on loopback that do what no HTTP server would, and a sender to meet them: for tests. */
import { createDestinationPolicy, LOOPBACK_RANGES } from '@billhook/destinations';
import { createLog } from '@billhook/runtime';
import { createServer } from 'node:net';
import { createSender } from './sender.ts';
import { createTarget } from './target.ts';
import type { DestinationPolicy, DestinationRules, Lookup } from '@billhook/destinations';
import type { Server, Socket } from 'node:net';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { Sender, SenderLimits } from './sender.ts';

export interface RawReceiver {
  readonly url: string;
  readonly port: number;
  /** Connections that were ever made. */
  readonly connections: number;
  /** Connections that are open. */
  readonly openConnections: number;
  close(): Promise<void>;
}

const TRICKLE_EVERY_MS = 20;
const LOCALHOST: ReceiverPlace = { host: '127.0.0.1' };

export const BODY = Buffer.from('{"event":"ping","data":{}}');

/** Where a sender may go beside loopback, and how it finds that. */
export interface LoopbackDestinations extends Partial<DestinationRules> {
  readonly lookup?: Lookup;
  readonly egressProxy?: string;
}

/** Makes a policy that opens loopback, unless the rules say something else. */
export function createLoopbackPolicy(rules: Partial<DestinationRules> = {}): DestinationPolicy {
  return createDestinationPolicy({
    allowDestinations: LOOPBACK_RANGES,
    destinationPorts: undefined,
    requireHttps: false,
    ...rules,
  });
}

/** Makes a sender that may reach loopback. */
export function createLoopbackSender(
  limits: Partial<SenderLimits> = {},
  { lookup, egressProxy, ...rules }: LoopbackDestinations = {},
): Sender {
  const policy = createLoopbackPolicy(rules);
  const log = createLog({ level: 'silent', service: 'test' });
  return createSender(
    { policy, log, lookup, egressProxy },
    {
      timeoutMs: 5_000,
      maxResponseBytes: 16 * 1024,
      connectionsPerOrigin: 4,
      maxOrigins: 8,
      maxIdleConnections: 64,
      ...limits,
    },
  );
}

/** Sends one POST and waits for its outcome. */
export function post(sender: Sender, url: string, timeoutMs?: number): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    const headers = ['content-type', 'application/json'];
    sender.send({ target: createTarget(url), headers, body: BODY, timeoutMs }, resolve);
  });
}

/** An address of loopback, and a port: a free one unless given. */
export interface ReceiverPlace {
  readonly host: string;
  readonly port?: number;
}

/** Starts a server that hands every connection over, before a byte of the request was read. */
export async function startRawReceiver(
  onConnection: (socket: Socket, count: number) => void,
  place: ReceiverPlace = LOCALHOST,
): Promise<RawReceiver> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', ignore);
    onConnection(socket, connections);
  });
  const open = keepOpenSockets(server);
  const port = await listen(server, place);
  return {
    url: `http://${place.host}:${port}/webhook?a=1`,
    port,
    get connections() {
      return connections;
    },
    get openConnections() {
      return open.size;
    },
    close: () => closeServer(server, open),
  };
}

/** Answers every request with the same bytes. A request is what one chunk brings. */
export function answerWith(bytes: string | Buffer): (socket: Socket) => void {
  return (socket) => {
    socket.on('data', () => socket.write(bytes));
  };
}

/** Answers the first request with the head and then, as fast as it is read, the same again and again. */
export function flood(head: string, bytes: string): (socket: Socket) => void {
  return (socket) => {
    const write = () => {
      while (!socket.destroyed && socket.write(bytes)) continue;
    };
    socket.once('data', () => {
      socket.write(head);
      socket.on('drain', write);
      write();
    });
  };
}

/** Answers the first request with the head and then, every few milliseconds, the same small piece. */
export function trickle(head: string, piece: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => {
      socket.write(head);
      const timer = setInterval(() => socket.write(piece), TRICKLE_EVERY_MS);
      socket.on('close', () => clearInterval(timer));
    });
  };
}

/** Listens on loopback, and gives back the port. */
export function listen(server: Server, place: ReceiverPlace = LOCALHOST): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place.port ?? 0, place.host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

/** Follows a server's sockets, so that they can be counted and ended. */
export function keepOpenSockets(server: Server): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  return open;
}

/** Ends a server and what is connected to it. */
export async function closeServer(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of open) socket.destroy();
  await closed;
}

function ignore(): void {}
