/**
 * How far the clocks of the services may disagree: a subscription counts for events recorded this
 * much before it was registered (ARCHITECTURE.md, "Data flow").
 */
export const CLOCK_TOLERANCE_MS = 5_000;
