export { parseJson } from './parse-json.ts';
export type { JsonFault, ParsedJson } from './parse-json.ts';
