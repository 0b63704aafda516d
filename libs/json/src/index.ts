export { parseJson } from './parse-json.ts';
export type { JsonFault, ParsedJson } from './parse-json.ts';
export { quote, writePlace } from './place.ts';
export type { Place } from './place.ts';
