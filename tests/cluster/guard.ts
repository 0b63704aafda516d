import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Ends the processes of a cluster when the process that started them is gone, however it ended. */
export interface Guard {
  /** Adds a process. */
  readonly watch: (pid: number) => void;
  /** The process has ended: its number may belong to another one soon. */
  readonly forget: (pid: number) => void;
  /** Nothing is left to guard. */
  close(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('./guard-process.ts', import.meta.url));

/**
 * Starts a guard. It is a process that reads from a pipe: the operating system closes the pipe when
 * this process ends, also when it is killed.
 *
 * @param postgresFolder of the embedded Postgres that ends as well.
 */
export function startGuard(postgresFolder: string): Guard {
  const child = spawn(process.execPath, [PROGRAM, postgresFolder], {
    stdio: ['pipe', 'inherit', 'inherit'],
    // The Ctrl-C of a terminal must pass it by.
    detached: true,
  });
  // A guard that is gone itself can be told nothing.
  child.stdin.on('error', () => undefined);
  const say = (word: 'watch' | 'forget') => (pid: number) => {
    child.stdin.write(`${word} ${pid}\n`);
  };
  return {
    watch: say('watch'),
    forget: say('forget'),
    async close() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
