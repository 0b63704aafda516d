import { isUnavailable } from '@billhook/postgres';
import { ServiceError } from '@billhook/runtime';

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
      if (!isUnavailable(error)) throw error;
      const message = 'The store is not available. Repeat the call.';
      throw new ServiceError('UNAVAILABLE', 'STORE_UNAVAILABLE', message, { cause: error });
    }
  };
}
