import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { startReceiver } from '@billhook/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../system/connection.ts';
import { dollars } from '../system/invoice-calls.ts';
import { createStandalone } from '../system/standalone.ts';

const TIMEOUT_MS = 20_000;

let cleanUp: AsyncDisposableStack;

beforeEach(() => {
  cleanUp = new AsyncDisposableStack();
});
afterEach(() => cleanUp.disposeAsync());

test('no proxy that the environment names gets a connection', async () => {
  const trap = await startTrap();
  const environment = proxyEnvironment(trap.url);
  await fetchIn(environment);
  expect(trap.connections, 'the environment has others use the proxy').toBeGreaterThan(0);
  const connectionsOfOthers = trap.connections;

  const system = await createStandalone(environment);
  cleanUp.defer(() => system.remove());
  await system.start();
  const connection = connect(system.addresses);
  cleanUp.defer(() => connection.close());
  const { rest, invoices } = connection;
  const receiver = await startReceiver();
  cleanUp.defer(() => receiver.close());
  await rest.register('*', receiver.url);
  await invoices.create({ amount: dollars(1) });
  await receiver.waitFor(1, TIMEOUT_MS);
  await rest.send('/ping', '{}');
  await receiver.waitFor(2, TIMEOUT_MS);
  // Over TLS nothing answers there, and a proxy would have been asked for a tunnel by then.
  await rest.register('*', receiver.url.replace('http:', 'https:'));
  await rest.send('/ping', '{}');
  expect(trap.connections).toBe(connectionsOfOthers);
});

/** Each variable that some program or other takes for the address of a proxy. */
function proxyEnvironment(url: string): Readonly<Record<string, string>> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'grpc_proxy', 'npm_config_proxy'];
  const both = names.flatMap((name) => [name, name.toLowerCase()]);
  return {
    ...Object.fromEntries(both.map((name) => [name, url])),
    NODE_USE_ENV_PROXY: '1',
    NO_PROXY: '',
    no_proxy: '',
  };
}

/** Something that takes connections and closes them. */
async function startTrap(): Promise<{ readonly url: string; readonly connections: number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined).destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.defer(() => new Promise((resolve) => void server.close(() => resolve())));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    get connections() {
      return connections;
    },
  };
}

/** Has another program of Node's send a request. */
async function fetchIn(environment: Readonly<Record<string, string>>): Promise<void> {
  const program = "fetch('http://127.0.0.1:4/').catch(() => undefined)";
  const child = spawn(process.execPath, ['-e', program], {
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
  await once(child, 'exit');
}
