/** A header that goes with every delivery to an endpoint. Its value is as secret as a secret. */
export interface EndpointHeader {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

/** Writes headers as the text that is encrypted. */
export function writeHeaders(headers: readonly EndpointHeader[]): string {
  return JSON.stringify(headers.map(({ name, value }) => [name, value]));
}

/**
 * Reads what `writeHeaders` wrote.
 *
 * @throws Error for anything else.
 */
export function readHeaders(text: string): readonly EndpointHeader[] {
  const pairs: unknown = JSON.parse(text);
  if (!Array.isArray(pairs)) {
    throw new Error('The headers of an endpoint are no list.');
  }
  return pairs.map(readPair);
}

function readPair(pair: unknown): EndpointHeader {
  const [name, value]: readonly unknown[] = Array.isArray(pair) ? pair : [];
  if (typeof name !== 'string' || typeof value !== 'string') {
    throw new Error('A header of an endpoint is no pair of texts.');
  }
  return { name, value };
}
