import { createServer, connect } from 'node:net';
import type { Socket } from 'node:net';

/** `COMMIT` as a simple query of Postgres's protocol. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');

/** What becomes of the next `COMMIT`: either way its outcome is unknown to the one who sent it. */
export type CommitFault = 'carried out unheard' | 'never arrives';

/** Stands between a pool and Postgres, and breaks a connection at its commit. */
export interface CommitBreaker {
  readonly connectionString: string;
  breakNext(fault: CommitFault): void;
  /** How many commits were broken. */
  readonly broken: number;
  close(): Promise<void>;
}

/** Opens a breaker on loopback in front of the Postgres of a connection string. */
export async function openCommitBreaker(connectionString: string): Promise<CommitBreaker> {
  const target = new URL(connectionString);
  const postgres = { host: target.hostname, port: Number(target.port) };
  const sockets = new Set<Socket>();
  const faults: CommitFault[] = [];
  let broken = 0;
  const server = createServer((near) => {
    const far = connect(postgres);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        (socket === near ? far : near).destroy();
      });
    }
    far.on('data', (bytes: Buffer) => near.write(bytes));
    near.on('data', (bytes: Buffer) => {
      const fault = bytes.includes(COMMIT) ? faults.shift() : undefined;
      if (fault === undefined) {
        far.write(bytes);
        return;
      }
      broken += 1;
      if (fault === 'never arrives') near.destroy();
      else {
        // Postgres's answer shows that it committed; nobody hears it.
        far.removeAllListeners('data').once('data', () => near.destroy());
        far.write(bytes);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  target.hostname = '127.0.0.1';
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the breaker has no port');
  target.port = String(address.port);
  return {
    connectionString: target.href,
    breakNext: (fault) => faults.push(fault),
    get broken() {
      return broken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
