import { Client } from 'undici';
import type { buildConnector } from 'undici';
import type { Connect, Transport } from './connector.ts';
import type { Carrier, Exchange } from './exchange.ts';

/** How long a connection that carries nothing is kept, unless the receiver names a time. */
const KEEP_ALIVE_MS = 10_000;
const MAX_KEEP_ALIVE_MS = 60_000;
const MAX_RESPONSE_HEADER_BYTES = 16 * 1024;
/**
 * Connections that one exchange may begin. undici makes a new one by itself when a connection ends
 * before the request was written; a receiver must not keep it at that until the deadline.
 */
const MAX_CONNECTS = 3;

/** Who owns connections to an origin, and hears what becomes of them. */
export interface ConnectionOwner {
  readonly origin: string;
  readonly connect: Connect;
  /** It is free to carry another exchange. */
  onReleased(connection: Connection): void;
  /** It is closed and gone. */
  onDiscarded(connection: Connection): void;
  /** It is closed and gone, and its exchange goes on over a new one. */
  onReplaced(connection: Connection, exchange: Exchange): void;
}

/**
 * One keep-alive connection: an undici client with no pipelining, which carries one exchange at a
 * time. It exists until its socket closes without an exchange, or an exchange fails on it.
 */
export class Connection implements Carrier {
  private readonly owner: ConnectionOwner;
  private readonly client: Client;
  private transport: Transport | undefined;
  private exchange: Exchange | undefined;
  private exchangesOnSocket = 0;
  /** What had come when the last exchange was over; undefined while there is none that is. */
  private bytesReadWhenFree: number | undefined;

  constructor(owner: ConnectionOwner) {
    this.owner = owner;
    this.client = new Client(owner.origin, {
      connect: (options, callback) => this.connect(options, callback),
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: MAX_KEEP_ALIVE_MS,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      // The exchange has one deadline of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.client.on('disconnect', () => {
      if (this.exchange === undefined) this.discard();
    });
  }

  get isReused(): boolean {
    return this.exchangesOnSocket > 1;
  }

  get bytesRead(): number | undefined {
    return this.transport?.bytesRead;
  }

  /** Whether anything has come since it was released. */
  get hasUnaskedBytes(): boolean {
    return this.bytesReadWhenFree !== undefined && this.bytesReadWhenFree !== this.bytesRead;
  }

  /** Carries an exchange. It must be free. */
  carry(exchange: Exchange): void {
    this.exchange = exchange;
    this.bytesReadWhenFree = undefined;
    this.exchangesOnSocket += 1;
    exchange.carryBy(this);
    const { target, headers, body } = exchange.request;
    // Without an origin undici takes apart its URL for each request.
    const { origin } = this.owner;
    this.client.dispatch({ method: 'POST', origin, path: target.path, headers, body }, exchange);
  }

  /**
   * A receiver that answers what it has not read gets no further request on this connection, or all
   * that it does not read would be gathered here.
   */
  release(): void {
    if ((this.transport?.writableLength ?? 0) > 0) {
      this.discard();
      return;
    }
    this.exchange = undefined;
    this.bytesReadWhenFree = this.bytesRead;
    this.owner.onReleased(this);
  }

  discard(): void {
    if (this.client.destroyed) return;
    this.close();
    this.owner.onDiscarded(this);
  }

  replace(exchange: Exchange): void {
    this.close();
    this.owner.onReplaced(this, exchange);
  }

  private close(): void {
    this.exchange = undefined;
    this.client.destroy(null, ignore);
    // undici does not know of what is still being connected.
    this.transport?.destroy();
  }

  private connect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    this.exchangesOnSocket = 1;
    if (this.exchange !== undefined && ++this.exchange.connects > MAX_CONNECTS) {
      const error = new Error('The receiver closes every connection before it is used');
      queueMicrotask(() => callback(Object.assign(error, { code: 'ECONNRESET' }), null));
      return;
    }
    this.transport = undefined;
    // It costs as much as some ten requests: what goes over open connections meanwhile goes first.
    setImmediate(() => this.beginToConnect(options, callback));
  }

  private beginToConnect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    if (this.client.destroyed) return;
    try {
      this.transport = this.owner.connect(options, callback);
    } catch (error) {
      // undici, which asked for it, is not there any more to see it.
      callback(error instanceof Error ? error : new Error(String(error)), null);
    }
  }
}

function ignore(): void {}
