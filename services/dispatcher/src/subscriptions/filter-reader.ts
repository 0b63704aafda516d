import { parseFilter } from '@billhook/filters';
import type { Filter } from '@billhook/filters';
import { remember } from '@billhook/runtime';

/** How many filters are remembered. An endpoint keeps its own, also when they are forgotten here. */
const MAX_REMEMBERED = 1_000;

/**
 * Reads the filter of a subscription; "" stands for none.
 *
 * A filter that this version cannot read holds everything for the endpoint back, as a state does
 * that it does not know: what waits is judged again by a version that can.
 */
export type ReadFilter = (text: string) => Filter | 'unknown' | undefined;

/** Makes a reader that gives the same text the same filter: many endpoints may have one of a few. */
export function createFilterReader(): ReadFilter {
  return remember((text) => {
    if (text === '') return undefined;
    const parsed = parseFilter(text);
    return parsed.kind === 'valid' ? parsed.filter : 'unknown';
  }, MAX_REMEMBERED);
}
