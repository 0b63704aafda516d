import type { BenchmarkRun } from '../benchmark.ts';
import { startHelper } from '../helpers/helper.ts';

/** What the process of the echo is asked. */
export interface EchoQuestions {
  address(): string;
}

/**
 * The invoice service without invoices: the same server and messages, answered at once by a process
 * that stores nothing. More calls than it takes no service on grpc-js can take.
 */
export interface Echo extends AsyncDisposable {
  readonly pid: number;
  readonly address: string;
}

/** Starts an echo that ends with the run. */
export async function startEcho(run: Pick<BenchmarkRun, 'opened'>): Promise<Echo> {
  const helper = startHelper<EchoQuestions>('load/echo-process.ts');
  run.opened.use(helper);
  return {
    pid: helper.pid,
    address: await helper.ask('address'),
    [Symbol.asyncDispose]: () => helper[Symbol.asyncDispose](),
  };
}
