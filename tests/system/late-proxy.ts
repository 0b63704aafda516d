import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** A way to a service on which everything takes a while. */
export interface LateProxy {
  /** `host:port`. */
  readonly address: string;
  /** Says to which address the connections go that are made from now on. */
  leadTo(address: string): void;
  close(): Promise<void>;
}

/** Starts a proxy on loopback that passes bytes on unchanged, in each direction so much later. */
export async function startLateProxy(delayMs: number): Promise<LateProxy> {
  const sockets = new Set<Socket>();
  let target = '';
  const server = createServer((incoming) => {
    const [host = '', port = ''] = target.split(':');
    const outgoing = connect({ host, port: Number(port) });
    passOn(incoming, outgoing, delayMs);
    passOn(outgoing, incoming, delayMs);
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on no port');
  return {
    address: `127.0.0.1:${address.port}`,
    leadTo(next) {
      target = next;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      sockets.forEach((socket) => socket.destroy());
      await closed;
    },
  };
}

/** Timers of one length fire in the order in which they were set, so that bytes keep theirs. */
function passOn(from: Socket, to: Socket, delayMs: number): void {
  from.on('data', (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.once('close', () => setTimeout(() => to.destroy(), delayMs));
  from.on('error', () => from.destroy());
}
