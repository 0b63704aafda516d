import { ConfigurationError } from './errors.ts';
import { createLog } from './log.ts';
import type { Log } from './log.ts';

export interface Stoppable {
  /** Stops taking work, finishes or puts safely away what there is, and closes what was opened. */
  stop(): Promise<void>;
}

/** A service that has been started, alone or beside others in one process. */
export interface RunningService extends Stoppable {
  readonly name: string;
  /** `host:port` on which it listens. */
  readonly address: string;
}

/** What every process is told by its configuration. */
export interface ProcessConfiguration {
  readonly logLevel: string;
  /** How long a stop may take before the process ends as it is. */
  readonly shutdownTimeoutMs: number;
}

export interface ProcessOptions<Configuration extends ProcessConfiguration> {
  readonly name: string;
  /** Reads the configuration; a ConfigurationError becomes one sentence on standard error. */
  readonly configure: () => Configuration;
  readonly start: (configuration: Configuration, log: Log) => Promise<Stoppable>;
}

/** What the process answers to whoever started it. */
const EXIT_CODE = { stopped: 0, failed: 1, misconfigured: 2 } as const;

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs a service as the process: starts it, and stops it once when SIGTERM or SIGINT comes, however
 * often (a terminal and npm both send one).
 *
 * The process ends with 0 after a stop within its time, with 2 when the configuration is refused
 * (one sentence on standard error), and with 1 after anything else: a start that failed, a stop that
 * took too long, or an error that nobody caught.
 */
export async function runProcess<Configuration extends ProcessConfiguration>(
  options: ProcessOptions<Configuration>,
): Promise<void> {
  ignoreClosedOutput();
  const stopRequested = waitForStopSignal();
  try {
    const configuration = options.configure();
    const log = createLog({ level: configuration.logLevel, service: options.name });
    failOnUncaught(log);
    await serve(options, configuration, { log, stopRequested });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) {
      throw error;
    }
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CODE.misconfigured);
  }
}

/** Starts, waits for the signal, stops. A signal during the start counts from when it came. */
async function serve<Configuration extends ProcessConfiguration>(
  options: ProcessOptions<Configuration>,
  configuration: Configuration,
  { log, stopRequested }: { readonly log: Log; readonly stopRequested: Promise<string> },
): Promise<void> {
  void stopRequested.then((signal) => {
    log.info({ signal }, 'stopping');
    return endAfter(configuration.shutdownTimeoutMs, log);
  });
  try {
    const running = await options.start(configuration, log);
    await stopRequested;
    await running.stop();
  } catch (error) {
    if (error instanceof ConfigurationError) {
      throw error;
    }
    log.fatal({ err: error }, 'failed');
    process.exit(EXIT_CODE.failed);
  }
  log.info('stopped');
  process.exit(EXIT_CODE.stopped);
}

/** The handlers stay for as long as the process lives, so that a second signal changes nothing. */
function waitForStopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) {
      process.on(signal, resolve);
    }
  });
}

function endAfter(shutdownTimeoutMs: number, log: Log): void {
  setTimeout(() => {
    log.fatal({ shutdownTimeoutMs }, 'the stop took too long');
    process.exit(EXIT_CODE.failed);
  }, shutdownTimeoutMs).unref();
}

/** What nobody caught leaves an unknown state behind: the process ends, and its next start repairs. */
function failOnUncaught(log: Log): void {
  const fail = (error: unknown) => {
    log.fatal({ err: error }, 'an error that nobody caught');
    process.exit(EXIT_CODE.failed);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
}

/** Whoever read the output may be gone (a closed pipe); that must not end the service. */
function ignoreClosedOutput(): void {
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
}
