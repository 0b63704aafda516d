import { createMonitoring } from '@billhook/metrics';
import { expect, onTestFinished, test } from 'vitest';
import {
  acceptingSubscriptions,
  startGateway,
  startSubscriptionServer,
} from '../gateway.fixture.ts';

test('requests are counted by route and status, whatever their callers make up', async () => {
  const subscriptions = await startSubscriptionServer(acceptingSubscriptions);
  onTestFinished(() => subscriptions.stop(100));
  const monitoring = createMonitoring();
  const gateway = await startGateway({ subscription: subscriptions.address }, monitoring);
  onTestFinished(() => gateway.stop());
  const send = async (path: string, method: string, body?: object): Promise<number> => {
    const headers = { 'content-type': 'application/json' };
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    return (await fetch(`http://${gateway.address}${path}`, init)).status;
  };

  const webhook = { event: 'myEvent', url: 'http://myurl.com/webhook' };
  expect(await send('/register', 'POST', webhook)).toBe(200);
  expect(await send('/register', 'POST', { ...webhook, event: '' })).toBe(400);
  expect(await send('/healthz', 'GET')).toBe(200);
  expect(await send('/made/up', 'GET')).toBe(404);
  expect(await send('/also/made?up=1', 'GET')).toBe(404);
  expect(await send('/register', 'DELETE')).toBe(405);

  const counted = async () => {
    const lines = (await monitoring.text()).split('\n');
    return lines.filter((line) => /^billhook_http_\w+_(total|count){/.test(line));
  };
  await expect
    .poll(counted)
    .toEqual([
      'billhook_http_requests_total{route="none",status="404"} 2',
      'billhook_http_requests_total{route="/register",status="200"} 1',
      'billhook_http_requests_total{route="/register",status="400"} 1',
      'billhook_http_requests_total{route="/healthz",status="200"} 1',
      'billhook_http_requests_total{route="none",status="405"} 1',
      'billhook_http_request_duration_seconds_count{route="none"} 3',
      'billhook_http_request_duration_seconds_count{route="/register"} 2',
      'billhook_http_request_duration_seconds_count{route="/healthz"} 1',
    ]);
  expect(await monitoring.problems()).toEqual(['Out of reach: delivery']);
});
