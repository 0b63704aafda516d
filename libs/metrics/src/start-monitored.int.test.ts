import { createLog } from '@billhook/runtime';
import { expect, test } from 'vitest';
import { startMonitored, startMonitoringServer, createMonitoring } from './index.ts';

const log = createLog({ level: 'silent', service: 'test' });

/** A port that is free now. */
async function choosePort(): Promise<number> {
  const address = { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' };
  const server = await startMonitoringServer(createMonitoring(), { address, log });
  await server.stop();
  return Number(server.address.split(':')[1]);
}

async function readiness(port: number): Promise<unknown> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).json();
}

test('a process is not ready before it has started, nor while it stops', async () => {
  const port = await choosePort();
  const address = { host: '127.0.0.1', port, text: `127.0.0.1:${port}` };
  const said: unknown[] = [];
  const service = await startMonitored({ address, log }, async () => {
    said.push(await readiness(port));
    return {
      name: 'test',
      async stop() {
        said.push(await readiness(port));
      },
    };
  });
  said.push(await readiness(port));
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(text).toContain('billhook_ready 1');
  await service.stop();
  expect(service.name).toBe('test');
  expect(said).toEqual([
    { status: 'not_ready', problems: ['it is starting'] },
    { status: 'ready' },
    { status: 'not_ready', problems: ['it is stopping'] },
  ]);
  await expect(readiness(port)).rejects.toThrow('fetch failed');
});

test('nothing is left of a start that failed', async () => {
  const port = await choosePort();
  const address = { host: '127.0.0.1', port, text: `127.0.0.1:${port}` };
  const starting = startMonitored({ address, log }, () => Promise.reject(new Error('no')));
  await expect(starting).rejects.toThrow('no');
  await expect(readiness(port)).rejects.toThrow('fetch failed');
});
