import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createStatementCounter } from './statement-counter.ts';

/**
 * What becomes of a `COMMIT`: it is answered; the connection breaks before the server hears of it; or
 * the connection breaks when the server has answered, and nobody hears the answer.
 */
export type CommitFate = 'answered' | 'lost' | 'unanswered';

/** A way to Postgres on which connections break. */
export interface PostgresProxy {
  readonly connectionString: string;
  /** How many statements have come so far. */
  statements(): number;
  /** Says what becomes of each `COMMIT` from now on. */
  onCommit(decideFate: () => CommitFate): void;
  /** Breaks all connections, and refuses new ones until `mend`. */
  cut(): void;
  /** Passes nothing on any more, and breaks nothing, until `mend`. */
  hang(): void;
  mend(): void;
  close(): Promise<void>;
}

/** The message of a simple query `commit`. */
const COMMIT = Buffer.from('Q\0\0\0\u000bcommit\0', 'latin1');

/** The message that the server is ready, and in no transaction: it has done with `COMMIT`. */
const READY = Buffer.from('Z\0\0\0\u0005I', 'latin1');

/** Starts a proxy before a Postgres server that speaks without TLS. */
export async function startPostgresProxy(connectionString: string): Promise<PostgresProxy> {
  const target = new URL(connectionString);
  const sockets = new Set<Socket>();
  let decideFate = alwaysAnswered;
  let isCut = false;
  let isHanging = false;
  let statements = 0;

  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    const breakBoth = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      if (isHanging) socket.pause();
      socket.on('error', breakBoth);
      socket.on('close', () => {
        sockets.delete(socket);
        breakBoth();
      });
    }
    let fate: CommitFate = 'answered';
    let unheard = Buffer.alloc(0);
    const countStatements = createStatementCounter();
    client.on('data', (bytes: Buffer) => {
      statements += countStatements(bytes);
      fate = bytes.includes(COMMIT) ? decideFate() : 'answered';
      if (fate === 'lost') breakBoth();
      else upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      if (fate !== 'unanswered') {
        client.write(bytes);
        return;
      }
      // Statements that came with `COMMIT` are answered before it, and perhaps apart from it.
      unheard = Buffer.concat([unheard, bytes]);
      if (unheard.includes(READY)) breakBoth();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = new URL(connectionString);
  own.hostname = '127.0.0.1';
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  own.port = String(address.port);
  const breakAll = (): void => sockets.forEach((socket) => socket.destroy());

  return {
    connectionString: own.href,
    statements: () => statements,
    onCommit(decide) {
      decideFate = decide;
    },
    cut() {
      isCut = true;
      breakAll();
    },
    hang() {
      isHanging = true;
      for (const socket of sockets) socket.pause();
    },
    mend() {
      isCut = false;
      isHanging = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}

function alwaysAnswered(): CommitFate {
  return 'answered';
}
