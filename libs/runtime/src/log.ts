import { pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = pino.Logger;

const STANDARD_ERROR = 2;

/** Fields that hold a secret wherever they turn up: a slip of a caller must not print one. */
const SECRET_FIELDS = [
  'secret',
  'secretKeys',
  'connectionString',
  'databaseUrl',
  'egressProxy',
  'authorization',
];

/**
 * Makes the log of a process: on standard error, as JSON lines, or readable when standard error is a
 * terminal. It is written at once, so that nothing is lost when the process ends.
 */
export function createLog(options: { readonly level: string; readonly service: string }): Log {
  const destination = openStandardError();
  return pino(
    {
      level: options.level,
      name: options.service,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
    },
    destination,
  );
}

function openStandardError(): pino.DestinationStream {
  // Whoever read the log may be gone (a closed pipe); that must not end the service.
  return process.stderr.isTTY
    ? pretty({ destination: STANDARD_ERROR, sync: true, ignore: 'pid,hostname' }).on(
        'error',
        ignore,
      )
    : pino.destination({ dest: STANDARD_ERROR, sync: true }).on('error', ignore);
}

function ignore(): void {}
