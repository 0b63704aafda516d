import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What takes connections, and never answers, until the test has finished. */
export async function startSilentBroker(): Promise<{
  readonly host: string;
  readonly port: number;
  /** Those that are open. */
  readonly connections: ReadonlySet<Socket>;
}> {
  const host = '127.0.0.1';
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => connections.delete(socket));
    // Unread bytes would hide the end of a connection.
    socket.resume();
  });
  await once(server.listen(0, host), 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return { host, port, connections };
}
