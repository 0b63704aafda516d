import type { Question, Reply } from './helper.ts';

/**
 * Runs this process as a helper: answers what its parent asks, and ends when the parent is gone.
 *
 * @param answers the methods that can be asked.
 */
export function answerQuestions(answers: object): void {
  process.on('disconnect', () => process.exit());
  // The Ctrl-C of a terminal reaches this process as well; its parent decides when it ends.
  process.on('SIGINT', () => undefined);
  process.on('message', (question: Question) => void reply(answers, question));
}

async function reply(answers: object, { number, name, detail }: Question): Promise<void> {
  let message: Reply;
  try {
    const answer: unknown = await Reflect.get(answers, name).call(answers, detail);
    message = { number, answer };
  } catch (error) {
    message = {
      number,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
  process.send?.(message);
}
