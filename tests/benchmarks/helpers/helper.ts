import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

type Detail<Method> = Method extends (...detail: infer Given) => unknown ? Given : never;
type Answer<Method> = Method extends (...detail: never) => infer Given ? Awaited<Given> : never;

/**
 * A process of the benchmark, such as a receiver: what it does is not our work, nor Billhook's. It can
 * be asked what `Asked` has as methods, each with one argument at most.
 */
export interface Helper<Asked extends object> extends AsyncDisposable {
  readonly pid: number;
  /** @throws when the helper fails on the question, or ends. */
  ask<Name extends keyof Asked & string>(
    name: Name,
    ...detail: Detail<Asked[Name]>
  ): Promise<Answer<Asked[Name]>>;
}

/** What goes to a helper. */
export interface Question {
  readonly number: number;
  readonly name: string;
  readonly detail: unknown;
}

/** What comes back. */
export interface Reply {
  readonly number: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/**
 * Starts a program that answers with `answerQuestions`. It ends with this process, however that ends.
 *
 * @param program such as `receiver/receiver-process.ts`, below the folder of the benchmarks.
 */
export function startHelper<Asked extends object>(program: string): Helper<Asked> {
  const child = fork(fileURLToPath(new URL(`../${program}`, import.meta.url)));
  const ended = once(child, 'exit');
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let asked = 0;

  child.on('message', (reply: Reply) => {
    const question = waiting.get(reply.number);
    waiting.delete(reply.number);
    if (reply.error === undefined) question?.resolve(reply.answer);
    else question?.reject(new Error(`${program}: ${reply.error}`));
  });
  child.once('exit', () => {
    for (const question of waiting.values()) question.reject(new Error(`${program} has ended`));
  });

  return {
    pid: child.pid ?? 0,
    ask(name, ...[detail]) {
      const question = Promise.withResolvers<unknown>();
      asked += 1;
      waiting.set(asked, question);
      const message: Question = { number: asked, name, detail };
      child.send(message);
      // oxlint-disable-next-line no-unsafe-type-assertion -- Both sides share the questions' types.
      return question.promise as Promise<never>;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
