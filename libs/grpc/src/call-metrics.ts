import { DURATION_BUCKETS_SECONDS, type Counter, type Monitoring } from '@billhook/metrics';
import type { ServedMethod } from './service.ts';

/** To be called when a call begins. What it returns is to be called with the code when it has ended. */
export type CallMeter = () => (code: string) => void;

/**
 * Makes what counts the calls of a method, and measures how long they take. A stream, which goes on for
 * as long as its caller wants, is counted only.
 */
export function createCallMeter(
  monitoring: Monitoring,
  { path, responseStream }: ServedMethod,
): CallMeter {
  const [, service = '', method = ''] = path.split('/');
  const labels = { service, method };
  const ended = new Map<string, Counter>();
  let active = 0;
  monitoring.addGauge(
    { name: 'billhook_grpc_active_calls', help: 'Calls under way, open streams included.', labels },
    () => active,
  );
  const duration = responseStream
    ? undefined
    : monitoring.addHistogram({
        name: 'billhook_grpc_call_duration_seconds',
        help: 'How long calls took that are answered once.',
        labels,
        buckets: DURATION_BUCKETS_SECONDS,
      });

  /** The codes are those of gRPC, and a method has few of them. */
  function counterOf(code: string): Counter {
    let counter = ended.get(code);
    if (counter === undefined) {
      counter = monitoring.addCounter({
        name: 'billhook_grpc_calls_total',
        help: 'Calls that have ended.',
        labels: { ...labels, code },
      });
      ended.set(code, counter);
    }
    return counter;
  }

  counterOf('OK');
  return () => {
    const beganAtMs = performance.now();
    active += 1;
    return (code) => {
      active -= 1;
      duration?.observe((performance.now() - beganAtMs) / 1_000);
      counterOf(code).add(1);
    };
  };
}
