/**
 * Room of removed items is given up once they are this many and more than half of the array. A ring of turns
 * often holds an item or two, which need no new array for each turn.
 */
const COMPACT_AT = 16;

/** A queue whose both ends cost constant time. It keeps nothing alive that was removed. */
export class Fifo<Item> {
  private items: (Item | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: Item): void {
    this.items.push(item);
  }

  /** The one that is next, which stays. */
  first(): Item | undefined {
    return this.items[this.head];
  }

  /** All of them, the next one first. */
  *[Symbol.iterator](): Generator<Item> {
    for (let index = this.head; index < this.items.length; index += 1) {
      const item = this.items[index];
      if (item !== undefined) yield item;
    }
  }

  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head += 1;
    if (this.head >= COMPACT_AT && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  clear(): void {
    if (this.items.length > 0) this.items = [];
    this.head = 0;
  }
}
