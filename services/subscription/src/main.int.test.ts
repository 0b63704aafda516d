import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { subscriptionV1 } from '@billhook/contracts';
import { call, createGrpcClient } from '@billhook/grpc';
import { createKey } from '@billhook/secrets';
import { useTestDatabase } from '@billhook/testing';
import { expect, test } from 'vitest';

const database = useTestDatabase();

function run(file: string, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], {
    env: { PATH: process.env['PATH'], BILLHOOK_SUBSCRIPTION_ADDR: '127.0.0.1:0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Gathers what a process writes until it ends. */
async function finish(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => (output += bytes.toString()));
  }
  await once(child, 'close');
  return { code: child.exitCode, output };
}

test('it runs alone, logs no secret and no key, and stops cleanly', async () => {
  const key = createKey();
  const env = {
    BILLHOOK_DATABASE_URL: database.connectionString,
    BILLHOOK_SECRET_KEY: key,
    BILLHOOK_LOG_LEVEL: 'trace',
  };
  const child = run('main.ts', env);
  const finished = finish(child);
  const { stdout } = child;
  if (stdout === null) {
    throw new Error('The process has no standard output');
  }
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const listening = String((await lines.next()).value);
  const address = /^subscription listening on (127\.0\.0\.1:\d+)$/.exec(listening)?.[1] ?? '';
  expect((await lines.next()).value).toBe('Billhook is ready');

  const client = createGrpcClient(subscriptionV1.SubscriptionServiceClient, address, {
    retryable: [],
  });
  const options = { timeoutMs: 10_000 };
  const webhook = { event: '*', url: 'http://127.0.0.1:4/alone', filter: '' };
  const { secret, endpoint } = await call(client.register, webhook, options);
  const endpointId = endpoint?.endpointId ?? '';
  const rotation = { endpointId, overlap: undefined };
  const rotated = await call(client.rotateSecret, rotation, options);
  const header = { name: 'authorization', value: 'Bearer of-the-endpoint' };
  const update = { endpointId, headers: [header, { ...header, name: 'x-key' }] };
  await call(client.updateEndpoint, subscriptionV1.UpdateEndpointRequest.create(update), options);
  const bad = { endpointId, headers: [{ ...header, value: `${header.value}\n` }] };
  const refused = subscriptionV1.UpdateEndpointRequest.create(bad);
  await expect(call(client.updateEndpoint, refused, options)).rejects.toThrow('headers[0].value');
  client.close();
  child.kill('SIGTERM');
  child.kill('SIGTERM');
  const { code, output } = await finished;
  expect(code).toBe(0);
  for (const hidden of [secret, rotated.secret, key, header.value]) {
    expect(hidden).not.toBe('');
    expect(output).not.toContain(hidden);
  }

  const rebuilt = await finish(run('rebuild.ts', env));
  expect(rebuilt).toMatchObject({ code: 0 });
  expect(rebuilt.output).toContain('1 endpoints were rebuilt from their events');
  const wrong = await finish(run('main.ts', { ...env, BILLHOOK_SECRET_KEY: createKey() }));
  expect(wrong.code).toBe(2);
  expect(wrong.output).toMatch(/^BILLHOOK_SECRET_KEY is not the key/);
});

test.each([
  ['BILLHOOK_DATABASE_URL', { BILLHOOK_SECRET_KEY: createKey() }],
  ['BILLHOOK_SECRET_KEY', { BILLHOOK_DATABASE_URL: 'postgresql://127.0.0.1/x' }],
])('it does not start alone without %s', async (variable, env) => {
  const { code, output } = await finish(run('main.ts', env));
  expect(code).toBe(2);
  expect(output).toMatch(new RegExp(`^${variable} is required when .+\\.\\n$`));
});
