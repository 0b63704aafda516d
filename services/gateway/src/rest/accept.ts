/** A media range of an `Accept` header, with how exactly it names a type. */
interface MediaRange {
  readonly type: string;
  readonly quality: number;
  readonly order: number;
}

/** How well an `Accept` header likes one media type. */
interface Preference {
  readonly quality: number;
  readonly exactness: number;
  readonly order: number;
}

const unwanted: Preference = { quality: 0, exactness: -1, order: Number.MAX_SAFE_INTEGER };

/**
 * Says whether a client wants JSON rather than the sentence that is the default answer: it does
 * when its `Accept` header (RFC 9110, 12.5.1) ranks `application/json` above `text/html`, by
 * quality, then by how exactly it is named, then by which comes first. So curl, which accepts
 * anything, gets the sentence.
 */
export function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const ranges = accept.split(',').map(parseRange);
  const json = preferenceFor(['application/json', 'application/*', '*/*'], ranges);
  const html = preferenceFor(['text/html', 'text/*', '*/*'], ranges);
  if (json.quality === 0) return false;
  if (json.quality !== html.quality) return json.quality > html.quality;
  if (json.exactness !== html.exactness) return json.exactness > html.exactness;
  return json.order < html.order;
}

function parseRange(text: string, order: number): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => /^q\s*=/.test(parameter));
  const quality = weight === undefined ? 1 : Number(weight.replace(/^q\s*=\s*/, ''));
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0, order };
}

/** The most exact range decides, even if it likes the type less than a wider one. */
function preferenceFor(names: readonly string[], ranges: readonly MediaRange[]): Preference {
  for (const [index, name] of names.entries()) {
    const range = ranges.find((candidate) => candidate.type === name);
    if (range) {
      return { quality: range.quality, exactness: names.length - index, order: range.order };
    }
  }
  return unwanted;
}
