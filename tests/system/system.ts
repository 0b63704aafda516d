/** Environment variables, such as `BILLHOOK_RETRY_SCHEDULE`. */
export type SystemSettings = Readonly<Record<string, string>>;

/**
 * Where the services of a system listen, as `host:port`; where a service has several copies, as a
 * comma list of them.
 */
export interface Addresses {
  readonly gateway: string;
  readonly invoice: string;
  readonly subscription: string;
  readonly delivery: string;
}

/**
 * A whole Billhook as its users meet it, whatever processes it is made of. What it has stored stays
 * from one start to the next, and so do its addresses.
 */
export interface System {
  readonly addresses: Addresses;
  /** The lines that it printed on standard output, from the first start on. */
  readonly output: readonly string[];
  /** The lines that it logged, from the first start on. */
  readonly log: readonly string[];
  /** Starts it, and waits until it says that it is ready. */
  start(): Promise<void>;
  /** Sends the signals, one after the other, and waits for the end. Returns the exit code. */
  stop(...signals: readonly NodeJS.Signals[]): Promise<number | undefined>;
  /** Ends it at once, with what it is doing (kill -9). */
  kill(): Promise<void>;
  /** Ends it if it runs, and removes what it has stored. */
  remove(): Promise<void>;
}
