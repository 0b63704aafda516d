/**
 * Makes a function that does not do again what it did lately for the same input.
 *
 * @param most results that it remembers. With one more it forgets them all, which needs no order.
 */
export function remember<Input, Output>(
  make: (input: Input) => Output,
  most: number,
): (input: Input) => Output {
  const known = new Map<Input, { readonly output: Output }>();
  return (input) => {
    let found = known.get(input);
    if (found === undefined) {
      found = { output: make(input) };
      if (known.size >= most) known.clear();
      known.set(input, found);
    }
    return found.output;
  };
}
