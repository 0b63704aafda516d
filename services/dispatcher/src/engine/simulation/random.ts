/** Numbers in [0, 1) from a seed: the mulberry32 generator. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Gives the next number in [0, 1) of the stream with a name. What is taken of one stream changes no
 * other one: so a scenario of which a part is left out goes on much as it did before.
 */
export type Dice = (name: string) => number;

/** Makes the streams of a seed. */
export function createDice(seed: number): Dice {
  const streams = new Map<string, () => number>();
  return (name) => {
    let stream = streams.get(name);
    if (stream === undefined) {
      stream = createRandom(hashOf(name, seed));
      streams.set(name, stream);
    }
    return stream();
  };
}

/** A number of 32 bits: FNV-1a. */
export function hashOf(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash;
}
