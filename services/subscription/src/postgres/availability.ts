import { ServiceError } from '@billhook/runtime';
import pg from 'pg';

/** Classes of SQLSTATE that speak of the server, not of the query: it may succeed later. */
const UNAVAILABLE_CLASSES = new Set(['08', '40', '53', '55', '57', '58']);

/**
 * Makes a function of reads that tells when Postgres is away.
 *
 * @throws ServiceError `UNAVAILABLE`, or what the query failed with.
 */
export function whenAvailable<Arguments extends readonly unknown[], Result>(
  read: (...given: Arguments) => Promise<Result>,
): (...given: Arguments) => Promise<Result> {
  return async (...given) => {
    try {
      return await read(...given);
    } catch (error) {
      if (error instanceof pg.DatabaseError && !isServerState(error)) {
        throw error;
      }
      const message = 'The store is not available. Repeat the call.';
      throw new ServiceError('UNAVAILABLE', 'STORE_UNAVAILABLE', message, { cause: error });
    }
  };
}

function isServerState({ code }: pg.DatabaseError): boolean {
  return code === undefined || UNAVAILABLE_CLASSES.has(code.slice(0, 2));
}
