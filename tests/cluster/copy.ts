import { fileURLToPath } from 'node:url';
import { READY_LINE, run, waitUntilReady } from '../system/service-process.ts';
import type { Running } from '../system/service-process.ts';
import type { Service } from './places.ts';

/** A process that can be hurt: a copy of a service, a broker, or Postgres. */
export interface Victim {
  /** Such as `invoice-2`. */
  readonly name: string;
  /** The process id while it runs. */
  readonly pid: number | undefined;
  /** Starts it and waits until it is ready. */
  start(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Stops it in the middle of what it is doing (SIGSTOP), until `thaw`. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** One process of a service. It listens at the same place whenever it is started. */
export interface Copy extends Victim {
  readonly service: Service;
  /** `host:port`. */
  readonly place: string;
  /** Sends the signals, one after the other, and waits for the end. Returns the exit code. */
  stop(...signals: readonly NodeJS.Signals[]): Promise<number | undefined>;
}

export interface CopyOptions {
  readonly name: string;
  readonly service: Service;
  readonly place: string;
  /** Where the process runs. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Who is told of a process. */
export interface CopyListener {
  output(line: string): void;
  log(line: string): void;
  started?(pid: number): void;
  ended?(pid: number): void;
  /** It has ended although nobody ended it. */
  lost?(name: string, exitCode: number | undefined): void;
}

/** Makes a copy of a service. It is not started yet. */
export function createCopy(options: CopyOptions, listener: CopyListener): Copy {
  const { name, service, place, folder, env } = options;
  const main = fileURLToPath(new URL(`../../services/${service}/src/main.ts`, import.meta.url));
  let running: Running | undefined;
  /** What was told to end. */
  let ending: Running | undefined;

  async function end(signals: readonly NodeJS.Signals[]): Promise<number | undefined> {
    ending = running;
    signals.forEach((signal) => ending?.kill(signal));
    return await ending?.ended;
  }

  return {
    name,
    service,
    place,
    get pid() {
      return running?.pid;
    },
    async start() {
      if (running !== undefined) throw new Error(`${name} runs already`);
      const ready = Promise.withResolvers<void>();
      const log: string[] = [];
      const started = run(
        main,
        { folder, env, ownSession: true },
        {
          output(line) {
            listener.output(line);
            if (line === READY_LINE) ready.resolve();
          },
          log(line) {
            listener.log(line);
            log.push(line);
          },
        },
      );
      running = started;
      listener.started?.(started.pid);
      const ended = started.ended.then((exitCode) => {
        running = undefined;
        listener.ended?.(started.pid);
        if (started !== ending) listener.lost?.(name, exitCode);
        return exitCode;
      });
      await waitUntilReady(ready.promise, ended, log);
    },
    stop: (...signals) => end(signals),
    async kill() {
      await end(['SIGKILL']);
    },
    async freeze() {
      running?.kill('SIGSTOP');
    },
    async thaw() {
      running?.kill('SIGCONT');
    },
  };
}
