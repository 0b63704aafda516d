import { createConnector } from './connector.ts';
import { Exchange } from './exchange.ts';
import { IdleConnections } from './idle-connections.ts';
import { OriginPool } from './origin-pool.ts';
import type { Log } from '@billhook/runtime';
import type { AttemptOutcome } from '../engine/delivery.ts';
import type { Connect, Destinations } from './connector.ts';
import type { SendRequest } from './exchange.ts';

/** How much a sender may take and wait for. */
export interface SenderLimits {
  /** Deadline of an exchange: waiting for a connection, DNS, connecting, TLS, response and all. */
  readonly timeoutMs: number;
  /** The most of a response's body that is read; then its status counts. */
  readonly maxResponseBytes: number;
  /** Connections to one origin. */
  readonly connectionsPerOrigin: number;
  /** Origins whose connections are kept; beyond, those idle the longest are closed. */
  readonly maxOrigins: number;
  /** Connections that carry nothing, to all origins; beyond, those idle the longest are closed. */
  readonly maxIdleConnections: number;
}

export interface SenderDependencies extends Destinations {
  readonly log: Log;
}

/** Sends POSTs, each in one exchange that ends by its deadline. */
export interface Sender {
  /**
   * Begins an exchange. The caller bounds how many are under way.
   *
   * @param onDone called once, after `send` has returned; whatever a receiver does is an outcome.
   */
  send(request: SendRequest, onDone: (outcome: AttemptOutcome) => void): void;
  /** Waits for what is under way, which ends by its deadlines, and closes all connections. */
  close(): Promise<void>;
  /** Ends what is under way as unreachable, and closes all connections. */
  destroy(): void;
}

/**
 * How often deadlines are looked at. An exchange ends at most this much after its deadline; one
 * timer for all is cheaper than one for each.
 */
const CHECK_EVERY_MS = 50;

/** Makes a sender. It holds no connection and no timer until something is sent. */
export function createSender(dependencies: SenderDependencies, limits: SenderLimits): Sender {
  return new PooledSender(dependencies, limits);
}

class PooledSender implements Sender {
  private readonly log: Log;
  private readonly limits: SenderLimits;
  private readonly connect: Connect;
  private readonly pools = new Map<string, OriginPool>();
  /** Those among `pools` that carry nothing, the one that has been so the longest first. */
  private readonly idlePools = new Set<OriginPool>();
  private readonly idle: IdleConnections;
  private readonly underWay = new Set<Exchange>();
  private checking: NodeJS.Timeout | undefined;
  private isClosed = false;
  private readonly drained = Promise.withResolvers<void>();

  constructor(dependencies: SenderDependencies, limits: SenderLimits) {
    this.log = dependencies.log;
    this.limits = limits;
    this.idle = new IdleConnections(limits.maxIdleConnections);
    this.connect = createConnector(dependencies, limits.maxOrigins);
  }

  send(request: SendRequest, onDone: (outcome: AttemptOutcome) => void): void {
    const exchange = new Exchange(request, {
      timeoutMs: request.timeoutMs ?? this.limits.timeoutMs,
      maxResponseBytes: this.limits.maxResponseBytes,
      onSettled: (settled, outcome) => this.settled(settled, () => onDone(outcome)),
    });
    this.underWay.add(exchange);
    if (this.isClosed) {
      queueMicrotask(() => exchange.shutDown());
      return;
    }
    this.checking ??= setInterval(() => this.check(), CHECK_EVERY_MS);
    this.poolOf(request.target.origin).carry(exchange);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.underWay.size > 0) await this.drained.promise;
    this.destroy();
  }

  destroy(): void {
    this.isClosed = true;
    for (const exchange of this.underWay) exchange.shutDown();
    for (const pool of this.pools.values()) pool.close();
    this.idle.stop();
    clearInterval(this.checking);
    this.checking = undefined;
  }

  private settled(exchange: Exchange, tell: () => void): void {
    this.underWay.delete(exchange);
    try {
      tell();
    } catch (error) {
      // undici would take it for a failure of the exchange; it is one of ours and must be seen.
      queueMicrotask(() => {
        throw error;
      });
    }
    if (this.isClosed && this.underWay.size === 0) this.drained.resolve();
  }

  private check(): void {
    const nowMs = performance.now();
    for (const exchange of this.underWay) exchange.check(nowMs);
    if (this.underWay.size > 0) return;
    clearInterval(this.checking);
    this.checking = undefined;
  }

  private poolOf(origin: string): OriginPool {
    const known = this.pools.get(origin);
    if (known !== undefined) {
      this.idlePools.delete(known);
      return known;
    }
    this.makeRoom();
    const pool = new OriginPool({
      origin,
      connect: this.connect,
      maxConnections: this.limits.connectionsPerOrigin,
      idle: this.idle,
      onIdle: (idle) => this.idlePools.add(idle),
      onEmpty: (empty) => this.forget(empty),
    });
    this.pools.set(origin, pool);
    return pool;
  }

  /** Pools that carry something stay: they are bounded by the exchanges under way. */
  private makeRoom(): void {
    for (const pool of this.idlePools) {
      if (this.pools.size < this.limits.maxOrigins) return;
      this.log.debug({ origin: pool.origin }, 'Closing the connections to an idle origin');
      pool.close();
    }
  }

  private forget(pool: OriginPool): void {
    this.idlePools.delete(pool);
    this.pools.delete(pool.origin);
  }
}
