import { announce } from './announce.ts';
import { runProcess } from './process.ts';
import { readSettings } from './settings.ts';

/** What the process does, named by its first argument: see process.int.test.ts. */
const behaviour = process.argv[2];

await runProcess({
  name: 'fixture',
  configure: () => readSettings(process.env),
  start: async () => {
    if (behaviour === 'fail to start') {
      throw new Error('no disk');
    }
    const timer = setInterval(misbehave, 20);
    announce('ready');
    return {
      stop: async () => {
        if (behaviour === 'hang on stop') {
          await new Promise(() => undefined);
        }
        clearInterval(timer);
        announce('stopped');
      },
    };
  },
});

function misbehave(): void {
  if (behaviour === 'talk') {
    announce('still here');
  }
  if (behaviour === 'throw') {
    throw new Error('out of order');
  }
  if (behaviour === 'reject') {
    void Promise.reject(new Error('out of order'));
  }
}
