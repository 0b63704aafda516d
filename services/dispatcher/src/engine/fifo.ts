/** Room of removed items is given up once they are this many and more than half of the array. */
const COMPACT_AT = 16;

/** A queue whose both ends cost constant time. It keeps nothing alive that was removed. */
export class Fifo<Item> {
  private items: (Item | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: Item): void {
    if (this.length > 0) this.items.push(item);
    else this.begin(item);
  }

  /** There are thousands that hold an item now and then: they keep their array, and a short one. */
  private begin(item: Item): void {
    this.head = 0;
    if (this.items.length === 0) {
      this.items = [item];
    } else {
      this.items[0] = item;
      this.items.length = 1;
    }
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
    if (this.length === 0) return;
    this.items = [];
    this.head = 0;
  }
}
