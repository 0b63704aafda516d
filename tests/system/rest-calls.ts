export interface Registration {
  readonly endpoint_id: string;
  readonly event: string;
  readonly url: string;
  readonly status: string;
  readonly secret?: string;
}

export interface Ping {
  readonly url: string;
  readonly outcome: string;
  readonly status: number | null;
  readonly duration_ms: number;
}

/** The calls of the gateway. */
export type RestCalls = ReturnType<typeof createRestCalls>;

const JSON_TYPE = 'application/json';

/**
 * Gives the calls of a gateway, made as plain curl makes them unless JSON is asked for.
 *
 * @param addresses of one gateway, or of several that take turns.
 */
export function createRestCalls(addresses: string) {
  const gateways = addresses.split(',');
  let calls = 0;

  /** Where nobody listens nothing was asked: then it is the next one's turn. */
  const ask = async (path: string, request?: RequestInit): Promise<Response> => {
    for (let refusals = 0; ; refusals += 1) {
      calls += 1;
      try {
        return await fetch(`http://${gateways[calls % gateways.length]}${path}`, request);
      } catch (error) {
        if (!isRefused(error) || refusals === gateways.length - 1) throw error;
      }
    }
  };

  const send = (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> =>
    ask(path, {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE, ...headers },
      body,
    });

  const forJson = async <Answer>(path: string, request: object): Promise<Answer> => {
    const response = await send(path, JSON.stringify(request), { accept: JSON_TYPE });
    if (response.status !== 200) {
      throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    }
    // oxlint-disable-next-line no-unsafe-type-assertion -- The caller names what the contract says.
    return (await response.json()) as Answer;
  };

  return {
    send,
    get: (path: string) => ask(path),
    register: (event: string, url: string, filter?: object) =>
      forJson<Registration>('/register', { event, url, filter }),
    unregister: (event: string, url: string) =>
      forJson<Registration>('/unregister', { event, url }),
    ping: (url?: string) => forJson<readonly Ping[]>('/ping', url === undefined ? {} : { url }),
  };
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
