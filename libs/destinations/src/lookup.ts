export interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds every address of a name. Rejects with a `NameNotResolvedError`. */
export type Lookup = (hostname: string) => Promise<readonly LookupAddress[]>;

/** A name of which no address was found. */
export class NameNotResolvedError extends Error {
  /** Of Node's `dns`, such as `ENOTFOUND` or `ETIMEOUT`, or `TOO_MANY_LOOKUPS`. */
  readonly code: string;

  constructor(hostname: string, code: string, options?: ErrorOptions) {
    super(`${hostname} was not resolved (${code})`, options);
    this.name = 'NameNotResolvedError';
    this.code = code;
  }
}
