export { parseFilter } from './parse-filter.ts';
export type { Filter, FilterFault, ParsedFilter } from './parse-filter.ts';
export type { FilteredEvent } from './matching.ts';
