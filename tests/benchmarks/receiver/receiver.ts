import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from '../../system/free-ports.ts';
import type { BenchmarkRun } from '../benchmark.ts';
import { startHelper } from '../helpers/helper.ts';
import type { Behaviour } from './behaviours.ts';
import type { Count, Report, Tally } from './tally.ts';

/** What the process of a receiver is asked. */
export interface ReceiverQuestions extends Omit<Tally, 'take'> {
  listen(options: {
    readonly behaviour: Behaviour;
    readonly deadlineMs: number;
    readonly ports: readonly number[];
  }): Promise<void>;
  leave(): Promise<void>;
}

/** A minimal receiver in a process of its own. */
export interface Receiver extends AsyncDisposable {
  readonly pid: number;
  /** One for each port. */
  readonly origins: readonly string[];
  /** Tells it of endpoints, whose requests it counts and whose signatures it checks. */
  expect(endpoints: readonly ReceivedEndpoint[]): Promise<void>;
  forget(endpoints: readonly ReceivedEndpoint[]): Promise<void>;
  /** Begins a new round. */
  reset(): Promise<void>;
  count(): Promise<Count>;
  /**
   * Waits until each endpoint has got so many requests in this round.
   *
   * @throws when no further one comes for a while, or one came with a wrong signature.
   */
  waitFor(each: number): Promise<Report>;
  /** How long each request of this round took from the stamp in its body, in milliseconds. */
  latencies(): Promise<readonly number[]>;
  /** Closes the ports: it is away. */
  leave(): Promise<void>;
  /** Opens them again. */
  comeBack(): Promise<void>;
}

export interface ReceivedEndpoint {
  readonly path: string;
  readonly secret: string;
}

export interface ReceiverOptions {
  readonly ports?: number;
  readonly behaviour?: Behaviour;
  /** Of a delivery, for the behaviours that mind it. */
  readonly deadlineMs?: number;
}

const POLL_MS = 20;
/** The longest that nothing comes although something should. */
const QUIET_MS = 90_000;

/** Starts a receiver that ends with the run. */
export async function startReceiver(
  run: Pick<BenchmarkRun, 'opened'>,
  { ports: count = 1, behaviour = 'good', deadlineMs = 0 }: ReceiverOptions = {},
): Promise<Receiver> {
  const helper = startHelper<ReceiverQuestions>('receiver/receiver-process.ts');
  run.opened.use(helper);
  const ports = await findFreePorts(count);
  const listen = () => helper.ask('listen', { behaviour, deadlineMs, ports });
  await listen();

  return {
    pid: helper.pid,
    origins: ports.map((port) => `http://127.0.0.1:${port}`),
    expect: (endpoints) =>
      helper.ask(
        'expect',
        endpoints.map(({ path, secret }) => [path, secret] as const),
      ),
    forget: (endpoints) =>
      helper.ask(
        'forget',
        endpoints.map(({ path }) => path),
      ),
    reset: () => helper.ask('reset'),
    count: () => helper.ask('count'),
    async waitFor(each) {
      await untilEachGot(() => helper.ask('count'), each);
      return helper.ask('report');
    },
    latencies: () => helper.ask('latencies'),
    leave: () => helper.ask('leave'),
    comeBack: listen,
    [Symbol.asyncDispose]: () => helper[Symbol.asyncDispose](),
  };
}

async function untilEachGot(count: () => Promise<Count>, each: number): Promise<void> {
  let seen = -1;
  let changedAtMs = performance.now();
  for (;;) {
    const { requests, fewest } = await count();
    if (fewest >= each) return;
    if (requests !== seen) changedAtMs = performance.now();
    else if (performance.now() - changedAtMs > QUIET_MS) {
      throw new Error(`an endpoint has got ${fewest} webhooks of ${each}`);
    }
    seen = requests;
    await sleep(POLL_MS);
  }
}
