import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** A way to a broker on which connections break. */
export interface KafkaProxy {
  /** `host:port` of the proxy. Whoever begins here never learns of another address. */
  readonly brokers: string;
  /** Breaks all connections, and refuses new ones until `mend`. */
  cut(): void;
  mend(): void;
  /** Lets nothing more through on the connections that have fetched records. They stay open. */
  muteFetches(): void;
  /** Makes the next answer on connections that have fetched records unreadable. */
  spoilFetch(): void;
  /** How many connections are open. */
  connections(): number;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Of a request: its length, then its kind. */
const API_KEY_OFFSET = 4;
const FETCH = 1;
/** Of an answer: its length and its correlation id. */
const HEADER_BYTES = 8;

/** Starts a proxy before one broker that speaks without TLS. */
export async function startKafkaProxy(broker: string): Promise<KafkaProxy> {
  const targetPort = Number(broker.split(':')[1]);
  const clients = new Set<Socket>();
  const fetching = new Set<Socket>();
  const muted = new Set<Socket>();
  let isCut = false;
  let isSpoiling = false;

  const server = createServer((client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = connect(targetPort, HOST);
    clients.add(client);
    const breakBoth = (): void => {
      client.destroy();
      upstream.destroy();
      for (const set of [clients, fetching, muted]) set.delete(client);
    };
    for (const socket of [client, upstream]) {
      socket.on('error', breakBoth);
      socket.on('close', breakBoth);
    }
    client.on('data', (bytes: Buffer) => {
      const apiKey = bytes.length > API_KEY_OFFSET + 1 ? bytes.readInt16BE(API_KEY_OFFSET) : -1;
      if (apiKey === FETCH) fetching.add(client);
      if (!muted.has(client)) upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      if (muted.has(client)) return;
      const isSpoiled = isSpoiling && fetching.has(client);
      if (isSpoiled) isSpoiling = false;
      client.write(
        isSpoiled
          ? bytes.fill(0x7f, HEADER_BYTES)
          : readdress(bytes, { from: targetPort, to: port }),
      );
    });
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const { port } = address;

  return {
    brokers: `${HOST}:${port}`,
    cut() {
      isCut = true;
      for (const client of clients) client.destroy();
    },
    mend() {
      isCut = false;
    },
    muteFetches() {
      for (const client of fetching) muted.add(client);
    },
    spoilFetch() {
      isSpoiling = true;
    },
    connections: () => clients.size,
    async close() {
      for (const client of clients) client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers that name the broker name the proxy instead. */
function readdress(bytes: Buffer, ports: { readonly from: number; readonly to: number }): Buffer {
  const from = addressBytes(ports.from);
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) {
    addressBytes(ports.to).copy(bytes, at);
  }
  return bytes;
}

/** A broker's address as answers hold it: the name, then the port as an integer. */
function addressBytes(port: number): Buffer {
  const bytes = Buffer.alloc(HOST.length + 4);
  bytes.write(HOST, 'latin1');
  bytes.writeInt32BE(port, HOST.length);
  return bytes;
}
