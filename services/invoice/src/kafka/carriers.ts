import type { BatchProducer, BatchProducerOptions } from '@billhook/kafka';
import type { LedLane } from './led-lane.ts';

type Deadline = Pick<BatchProducerOptions, 'deadlineMs'>;

/** Makes a producer for the topic. */
type CreateProducer = (deadline: Deadline) => BatchProducer;

/** A producer with the lanes whose batches are in its request. */
export interface Carrier {
  readonly producer: BatchProducer;
  /** Empty while no request is under way. */
  underWay: readonly LedLane[];
}

/**
 * The longest that a request of several lanes takes: what is wrong with one partition must not keep
 * the others longer. A lane that is sent alone is sent without end.
 */
const TOGETHER_AT_MOST_MS = 5_000;

/** Lanes that are sent alone at a time: each has connections of its own. */
const MAX_ALONE = 16;

/**
 * The producers that lanes are sent with: one for all lanes that a broker leads, because what a
 * request costs hardly depends on its size, and one for each lane that is sent alone.
 */
export class Carriers {
  readonly #createProducer: CreateProducer;
  readonly #together = new Map<number | undefined, Carrier>();
  readonly #alone = new Map<number, Carrier>();

  constructor(createProducer: CreateProducer) {
    this.#createProducer = createProducer;
  }

  /** The one to send a lane with. */
  of({ lane, leader, isAlone }: LedLane): Carrier {
    if (isAlone) return this.#find(this.#alone, lane, {});
    return this.#find(this.#together, leader, { deadlineMs: TOGETHER_AT_MOST_MS });
  }

  /** Whether another lane may be sent alone now. */
  get hasRoomAlone(): boolean {
    const busy = [...this.#alone.values()].filter(({ underWay }) => underWay.length > 0);
    return busy.length < MAX_ALONE;
  }

  /** Gives up what was for this lane alone. */
  closeAlone({ lane }: LedLane): void {
    this.#alone.get(lane)?.producer.close();
    this.#alone.delete(lane);
  }

  /** Cuts the request short that has a batch of this lane: it must not be repeated any more. */
  cut(led: LedLane): void {
    for (const { producer, underWay } of this.#all()) {
      if (underWay.includes(led)) producer.close();
    }
  }

  close(): void {
    for (const { producer } of this.#all()) producer.close();
  }

  #find<Key>(carriers: Map<Key, Carrier>, key: Key, deadline: Deadline): Carrier {
    const found = carriers.get(key);
    if (found !== undefined) return found;
    const carrier: Carrier = { producer: this.#createProducer(deadline), underWay: [] };
    carriers.set(key, carrier);
    return carrier;
  }

  #all(): readonly Carrier[] {
    return [...this.#together.values(), ...this.#alone.values()];
  }
}
