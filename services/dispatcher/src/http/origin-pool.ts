import { Fifo } from '../engine/fifo.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import type { Connect } from './connector.ts';
import type { Exchange } from './exchange.ts';
import type { IdleConnections } from './idle-connections.ts';

/** What a pool needs from its sender. */
export interface OriginPoolOptions {
  readonly origin: string;
  readonly connect: Connect;
  readonly maxConnections: number;
  /** Those of all pools. */
  readonly idle: IdleConnections;
  /** Nothing is carried or waits any more, and a connection may be left to be used again. */
  readonly onIdle: (pool: OriginPool) => void;
  /** No connection is left either. */
  readonly onEmpty: (pool: OriginPool) => void;
}

/**
 * The connections to one origin. What finds none free waits in order; the wait counts against its
 * deadline, and how many can wait is bounded by the exchanges that the caller has under way.
 */
export class OriginPool implements ConnectionOwner {
  readonly origin: string;
  readonly connect: Connect;
  private readonly options: OriginPoolOptions;
  private readonly connections = new Set<Connection>();
  /** The last one released is used first, so that those too many close by their keep-alive time. */
  private readonly free: Connection[] = [];
  private readonly waiting = new Fifo<Exchange>();

  constructor(options: OriginPoolOptions) {
    this.options = options;
    this.origin = options.origin;
    this.connect = options.connect;
  }

  get isIdle(): boolean {
    return this.free.length === this.connections.size && this.waiting.length === 0;
  }

  /** Has an exchange carried, now or when a connection is free. */
  carry(exchange: Exchange): void {
    const connection = this.free.pop() ?? this.open();
    if (connection === undefined) {
      this.waiting.push(exchange);
      return;
    }
    this.options.idle.delete(connection);
    if (connection.hasUnaskedBytes) connection.replace(exchange);
    else connection.carry(exchange);
  }

  /** Closes all connections. */
  close(): void {
    for (const connection of this.connections) connection.discard();
  }

  onReleased(connection: Connection): void {
    const next = this.nextWaiting();
    if (next !== undefined) {
      connection.carry(next);
      return;
    }
    this.free.push(connection);
    this.options.idle.add(connection);
    if (this.isIdle) this.options.onIdle(this);
  }

  onDiscarded(connection: Connection): void {
    this.connections.delete(connection);
    this.options.idle.delete(connection);
    const index = this.free.indexOf(connection);
    if (index >= 0) this.free.splice(index, 1);
    const next = this.nextWaiting();
    if (next !== undefined) this.carry(next);
    else if (this.connections.size === 0) this.options.onEmpty(this);
    else if (this.isIdle) this.options.onIdle(this);
  }

  onReplaced(connection: Connection, exchange: Exchange): void {
    this.connections.delete(connection);
    this.addConnection().carry(exchange);
  }

  private open(): Connection | undefined {
    return this.connections.size < this.options.maxConnections ? this.addConnection() : undefined;
  }

  private addConnection(): Connection {
    const connection = new Connection(this);
    this.connections.add(connection);
    return connection;
  }

  /** Those whose deadline passed while they waited are left out. */
  private nextWaiting(): Exchange | undefined {
    let next = this.waiting.shift();
    while (next?.isDone === true) next = this.waiting.shift();
    return next;
  }
}
