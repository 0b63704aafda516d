/** An HTTP proxy on loopback that opens tunnels, or does not: for tests. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { closeServer, keepOpenSockets, listen } from './loopback.ts';
import type { Socket } from 'node:net';

export interface ConnectProxy {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** What a tunnel was asked for to, such as `127.0.0.1:443`, with the header that says by whom. */
  readonly asked: readonly {
    readonly target: string;
    readonly authorization: string | undefined;
  }[];
  /** Requests that were none for a tunnel. */
  readonly forwarded: readonly string[];
  /** Connections of clients that are open. */
  readonly openConnections: number;
  close(): Promise<void>;
}

/** Opens a tunnel, unless it does something else with the socket of the client. */
export type Tunnelling = (target: string, client: Socket) => 'tunnel' | 'done';

/** Starts a proxy. The test closes it. */
export async function startConnectProxy(
  onConnect: Tunnelling = () => 'tunnel',
): Promise<ConnectProxy> {
  const asked: { target: string; authorization: string | undefined }[] = [];
  const forwarded: string[] = [];
  const server = createServer((request, response) => {
    forwarded.push(`${request.method} ${request.url}`);
    response.writeHead(502).end();
  });
  server.on('connect', (request, client: Socket, head: Buffer) => {
    const target = request.url ?? '';
    asked.push({ target, authorization: request.headers['proxy-authorization'] });
    client.on('error', ignore);
    if (onConnect(target, client) === 'tunnel') openTunnel(target, client, head);
    // Nobody else would notice that the client has gone.
    else client.resume().on('end', () => client.end());
  });
  const open = keepOpenSockets(server);
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    forwarded,
    get openConnections() {
      return open.size;
    },
    close: () => closeServer(server, open),
  };
}

function openTunnel(target: string, client: Socket, head: Buffer): void {
  const { hostname, port } = new URL(`http://${target}`);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const upstream = connect(Number(port === '' ? '80' : port), host, () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.write(head);
    upstream.pipe(client).pipe(upstream);
  });
  upstream.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
  upstream.on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
}

function ignore(): void {}
