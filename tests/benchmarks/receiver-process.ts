import { createServer } from 'node:http';

/** What the receiver process tells on request. */
export interface ReceiverReport {
  /** Requests by path. */
  readonly counts: Readonly<Record<string, number>>;
  /** From recorded to received, in milliseconds, of a sample of the answered requests. */
  readonly latenciesMs: readonly number[];
}

/** Every so many requests one is measured. */
const SAMPLE_EVERY = 10;

const counts: Record<string, number> = {};
const latenciesMs: number[] = [];
let received = 0;

/** A minimal receiver in a process of its own: `/hang...` never answers, any other path does. */
const server = createServer((request, response) => {
  const path = request.url ?? '';
  counts[path] = (counts[path] ?? 0) + 1;
  request.resume();
  if (path.startsWith('/hang')) return;
  received += 1;
  if (received % SAMPLE_EVERY === 0) {
    latenciesMs.push(Date.now() - Date.parse(String(request.headers['billhook-event-time'])));
  }
  request.on('end', () => response.end());
});

server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.on('message', () => {
  const report: ReceiverReport = { counts, latenciesMs };
  process.send?.(report);
});
process.on('disconnect', () => process.exit(0));
