import type { Connection } from './connection.ts';

/** How often they are looked at: rarely, because each ends by its keep-alive time in any case. */
const CHECK_EVERY_MS = 1_000;

/**
 * The connections of a sender that carry nothing, those to all origins together. When there are too
 * many, the one that has been idle the longest is closed; and so is any on which something comes that
 * nobody asked for. undici ends it for a response, but reads line breaks without end.
 */
export class IdleConnections {
  private readonly maxConnections: number;
  /** The one that has been idle the longest first. */
  private readonly connections = new Set<Connection>();
  private checking: NodeJS.Timeout | undefined;

  constructor(maxConnections: number) {
    this.maxConnections = maxConnections;
  }

  add(connection: Connection): void {
    this.connections.add(connection);
    if (this.connections.size > this.maxConnections) {
      const [longestIdle] = this.connections;
      longestIdle?.discard();
    }
    // Idle sockets keep no process alive, and neither does who looks at them.
    this.checking ??= setInterval(() => this.check(), CHECK_EVERY_MS).unref();
  }

  /** It carries something again, or is closed. */
  delete(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** Looks at them no more. */
  stop(): void {
    clearInterval(this.checking);
    this.checking = undefined;
  }

  private check(): void {
    for (const connection of this.connections) {
      if (connection.hasUnaskedBytes) connection.discard();
    }
    if (this.connections.size === 0) this.stop();
  }
}
