/** The wall clock, in milliseconds since 1970. Whatever decides by time gets a clock handed in. */
export function systemClock(): number {
  return Date.now();
}
