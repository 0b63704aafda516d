import { lookup } from 'node:dns';

export interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds every address of a name. */
export type Lookup = (hostname: string) => Promise<readonly LookupAddress[]>;

/** Asks the operating system, as a connection does: the hosts file counts, not DNS alone. */
export const systemLookup: Lookup = (hostname) =>
  new Promise((resolve, reject) => {
    lookup(hostname, { all: true, order: 'verbatim' }, (error, addresses) => {
      if (error === null) {
        resolve(addresses);
      } else {
        reject(error);
      }
    });
  });
