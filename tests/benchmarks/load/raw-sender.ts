import type { BenchmarkRun } from '../benchmark.ts';
import { startHelper } from '../helpers/helper.ts';
import type { Latencies } from '../measuring/spread.ts';
import { startCost } from '../measuring/cost.ts';
import type { Sample } from '../measuring/rounds.ts';
import type { Receiver } from '../receiver/receiver.ts';

/** What the process of the sender is asked. */
export interface RawQuestions {
  send(load: RawLoad): Promise<RawResult>;
}

export interface RawLoad {
  readonly origin: string;
  readonly path: string;
  readonly secret: string;
  readonly requests: number;
  /** Connections, each with one request under way. */
  readonly concurrency: number;
}

interface RawResult {
  readonly seconds: number;
  /** Of each request; only with a concurrency of 1. */
  readonly latencies: Latencies;
}

/** Signs and POSTs, and nothing else: what one process could send at most. */
export interface RawSender extends AsyncDisposable {
  /** As many deliveries as it can. */
  send(requests: number): Promise<Sample>;
  /** One after the other. */
  sendOneByOne(requests: number): Promise<Latencies>;
}

const ENDPOINT = { path: '/raw', secret: `whsec_${Buffer.alloc(32, 'raw').toString('base64')}` };
/** As many as Billhook has under way to one endpoint at most. */
const CONCURRENCY = 64;

/** Starts the sender: a process of its own, as a dispatcher is one. */
export async function startRawSender(
  run: Pick<BenchmarkRun, 'opened'>,
  receiver: Receiver,
): Promise<RawSender> {
  const helper = startHelper<RawQuestions>('load/raw-sender-process.ts');
  run.opened.use(helper);
  const [origin = ''] = receiver.origins;

  async function send(requests: number, concurrency: number): Promise<RawResult> {
    await receiver.reset();
    await receiver.expect([ENDPOINT]);
    const result = await helper.ask('send', { ...ENDPOINT, origin, requests, concurrency });
    const { requests: received } = await receiver.count();
    await receiver.forget([ENDPOINT]);
    if (received !== requests) throw new Error(`${received} of ${requests} requests have come`);
    return result;
  }

  return {
    async send(requests) {
      const endCost = startCost({ sender: [helper.pid] });
      const { seconds } = await send(requests, CONCURRENCY);
      return { units: requests, seconds, cost: endCost() };
    },
    async sendOneByOne(requests) {
      return (await send(requests, 1)).latencies;
    },
    [Symbol.asyncDispose]: () => helper[Symbol.asyncDispose](),
  };
}
