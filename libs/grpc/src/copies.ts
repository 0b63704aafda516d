import { experimental, Metadata, status } from '@grpc/grpc-js';

type Resolver = experimental.Resolver;
type ResolverListener = experimental.ResolverListener;
type GrpcUri = experimental.GrpcUri;
type Endpoint = experimental.Endpoint;
type ResolutionListener = Parameters<typeof experimental.createResolver>[1];
type ChannelOptions = Parameters<typeof experimental.createResolver>[2];

const SCHEME = 'billhook-copies';
const DNS_SCHEME = 'dns';

/**
 * Turns the target of an AddressList into what a channel of grpc-js understands. Its own lists
 * (`ipv4:`) take addresses only; a list of names needs a resolver, which is registered here.
 */
export function toChannelTarget(target: string): string {
  if (!target.includes(',')) {
    return target;
  }
  experimental.registerResolver(SCHEME, CopiesResolver);
  return `${SCHEME}:${target}`;
}

/** Resolves each entry of a comma list by DNS and offers what is known of all of them. */
class CopiesResolver implements Resolver {
  readonly #children: readonly Resolver[];
  readonly #found = new Map<number, readonly Endpoint[]>();
  readonly #failed = new Set<number>();
  readonly #listener: ResolverListener;

  constructor(target: GrpcUri, listener: ResolverListener, channelOptions: ChannelOptions) {
    this.#listener = listener;
    this.#children = readEntries(target).map((path, index) => {
      const onResolved: ResolutionListener = (result) => {
        if (result.ok) {
          this.#found.set(index, result.value);
          this.#failed.delete(index);
        } else {
          this.#failed.add(index);
        }
        return this.#report();
      };
      return experimental.createResolver({ scheme: DNS_SCHEME, path }, onResolved, channelOptions);
    });
  }

  static getDefaultAuthority(target: GrpcUri): string {
    return readEntries(target)[0] ?? target.path;
  }

  updateResolution(): void {
    for (const child of this.#children) {
      child.updateResolution();
    }
  }

  destroy(): void {
    for (const child of this.#children) {
      child.destroy();
    }
  }

  /** What was found before stays good while a name cannot be resolved again. */
  #report(): boolean {
    const endpoints = [...this.#found.values()].flat();
    if (endpoints.length > 0) {
      return this.#listener(experimental.statusOrFromValue(endpoints), {}, null, '');
    }
    if (this.#failed.size < this.#children.length) {
      return true;
    }
    const error = {
      code: status.UNAVAILABLE,
      details: 'no address of the service can be resolved',
      metadata: new Metadata(),
    };
    return this.#listener(experimental.statusOrFromError(error), {}, null, '');
  }
}

/** The entries are `host:port`, after `dns:///` or bare. */
function readEntries(target: GrpcUri): string[] {
  return target.path.split(',').map((entry) => entry.replace(/^dns:\/\/\//, ''));
}
