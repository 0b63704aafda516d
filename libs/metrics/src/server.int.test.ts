import { connect } from 'node:net';
import { once } from 'node:events';
import { createLog, ConfigurationError } from '@billhook/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { createMonitoring, startMonitoringServer, type Monitoring } from './index.ts';

const log = createLog({ level: 'silent', service: 'test' });
const anyPort = { host: '127.0.0.1', port: 0, text: '127.0.0.1:0' };

async function serve(monitoring: Monitoring = createMonitoring()): Promise<string> {
  const server = await startMonitoringServer(monitoring, { address: anyPort, log });
  onTestFinished(() => server.stop());
  return server.address;
}

test('metrics of the process and of its services are served for Prometheus', async () => {
  const monitoring = createMonitoring();
  monitoring.addGauge({ name: 'billhook_lanes_owned', help: 'Lanes.' }, () => 7);
  monitoring.addLabelledGauge(
    { name: 'billhook_lane_progress', help: 'Progress.', label: 'lane' },
    () => new Map([[3, 12]]),
  );
  const response = await fetch(`http://${await serve(monitoring)}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const text = await response.text();
  expect(text).toContain('billhook_lanes_owned 7');
  expect(text).toContain('billhook_lane_progress{lane="3"} 12');
  expect(text).toContain('process_resident_memory_bytes');
});

test('a process is ready when nothing keeps it from its work, and says what does', async () => {
  let problem: string | undefined;
  const monitoring = createMonitoring();
  monitoring.addCheck(() => problem);
  const url = `http://${await serve(monitoring)}/readyz`;
  expect((await fetch(url)).status).toBe(200);
  problem = 'no broker answers';
  const response = await fetch(url);
  expect(response.status).toBe(503);
  expect(await response.json()).toEqual({ status: 'not_ready', problems: [problem] });
});

test('what is no question of it gets an answer, too', async () => {
  const address = await serve();
  expect((await fetch(`http://${address}/healthz?x=1`)).status).toBe(200);
  expect((await fetch(`http://${address}/else`)).status).toBe(404);
  expect((await fetch(`http://${address}/metrics`, { method: 'POST', body: 'x' })).status).toBe(
    405,
  );
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
  socket.end('no HTTP at all\r\n\r\n');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toContain('400');
  expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
});

test('an address that is taken is a sentence that names the variable', async () => {
  const address = await serve();
  const taken = { host: '127.0.0.1', port: Number(address.split(':')[1]), text: address };
  const starting = startMonitoringServer(createMonitoring(), { address: taken, log });
  await expect(starting).rejects.toThrow(ConfigurationError);
  await expect(starting).rejects.toThrow('BILLHOOK_METRICS_ADDR');
});
