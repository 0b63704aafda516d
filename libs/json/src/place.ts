/** Where something stands in a JSON value: names of fields, and places in lists. */
export type Place = readonly (string | number)[];

const MAX_QUOTED_CHARACTERS = 64;
const PLAIN_NAME = /^[A-Za-z_]\w*$/;

/** Writes a place, to stand behind the name of what holds the value: `.and[0]["data.amount"]`. */
export function writePlace(place: Place): string {
  return place.map(writeStep).join('');
}

function writeStep(step: string | number): string {
  if (typeof step === 'string' && PLAIN_NAME.test(step) && step.length <= MAX_QUOTED_CHARACTERS) {
    return `.${step}`;
  }
  return `[${typeof step === 'string' ? quote(step) : step}]`;
}

/** A text from outside, short enough for an answer. */
export function quote(text: string): string {
  const isShort = text.length <= MAX_QUOTED_CHARACTERS;
  return JSON.stringify(isShort ? text : `${text.slice(0, MAX_QUOTED_CHARACTERS)}…`);
}
