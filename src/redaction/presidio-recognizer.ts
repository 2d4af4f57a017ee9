import { StrongroomError } from '../errors.ts';
import { checkOptions, checkPlainObject, invalidOption, parseDuration, type Duration } from '../options.ts';
import type { Recognizer, RecognizerResult } from './recognizer.ts';
import { latePattern } from './late.ts';

/** Options of {@link presidioRecognizer}. */
export interface PresidioRecognizerOptions {
  /** Where a Presidio analyzer listens: `http://localhost:5002`. */
  readonly url: string;
  /** The requested entities. Default: those that need a model, `PERSON`, `LOCATION`, `NRP` and `DATE_TIME`. */
  readonly entities?: readonly string[];
  /** Language of the text. Default `en`. */
  readonly language?: string;
  /** Sent with each request, for a proxy that requires a token. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How long one request may take. Default 10 seconds. */
  readonly timeout?: Duration;
}

const DEFAULT_ENTITIES = ['PERSON', 'LOCATION', 'NRP', 'DATE_TIME'];
const DEFAULT_TIMEOUT = 10_000;
const NO_WORD = latePattern(String.raw`^[^\p{L}]*$`, 'u');

/**
 * Finds names, places and dates with your own Presidio analyzer, over its HTTP API (`POST /analyze`, Microsoft
 * Presidio's OpenAPI description). Asynchronous, so comparisons see no text. When it does not answer, the write
 * fails: nothing is stored unsearched.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`; later, from writes, `ERR_TIMEOUT` and `ERR_PII_BLOCKED`.
 *
 * @example
 * ```ts
 * import { redact } from 'strongroom';
 * import { presidioRecognizer } from 'strongroom/redaction';
 *
 * export const layer = redact({ recognizers: [presidioRecognizer({ url: 'http://localhost:5002' })] });
 * ```
 */
export function presidioRecognizer(options: PresidioRecognizerOptions): Recognizer {
  const where = 'presidioRecognizer';
  checkOptions(where, options, ['url', 'entities', 'language', 'headers', 'timeout']);
  const { entities = DEFAULT_ENTITIES, language = 'en', headers = {} } = options;
  if (
    typeof options.url !== 'string' ||
    !URL.canParse(options.url) ||
    !/^https?:$/.test(new URL(options.url).protocol)
  ) {
    invalidOption(where, 'url', 'an http or https URL', options.url);
  }
  if (
    !Array.isArray(entities) ||
    entities.length === 0 ||
    entities.some((entity) => typeof entity !== 'string')
  ) {
    invalidOption(where, 'entities', 'an array of entity names', entities);
  }
  checkPlainObject(where, 'headers', 'an object with string values', headers);
  for (const value of Object.values(headers)) {
    if (typeof value !== 'string') invalidOption(where, 'headers', 'an object with string values', value);
  }
  if (typeof language !== 'string' || language === '')
    invalidOption(where, 'language', 'a language code', language);
  const timeout = parseDuration(where, 'timeout', options.timeout ?? DEFAULT_TIMEOUT);
  const endpoint = `${options.url.replace(/\/+$/, '')}/analyze`;

  const ask = async (text: string): Promise<unknown> => {
    let response: Response;
    try {
      response = await fetch(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ text, language, entities }),
        signal: AbortSignal.timeout(timeout),
      });
      if (response.ok) return await response.json();
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'TimeoutError') {
        throw new StrongroomError(
          'ERR_TIMEOUT',
          `Presidio at ${endpoint} did not answer within ${timeout} ms.`,
          { cause },
        );
      }
      throw unsearched(endpoint, 'could not be reached or did not answer with JSON', cause);
    }
    throw unsearched(endpoint, `answered with status ${response.status}`);
  };

  return {
    name: 'presidio',
    entities: [...entities],
    async analyze(text): Promise<readonly RecognizerResult[]> {
      if (NO_WORD().test(text)) return [];
      const answer = await ask(text);
      if (!Array.isArray(answer)) throw unsearched(endpoint, 'did not answer with an array');
      const place = codePointPlaces(text);
      return answer.map((result: unknown) => {
        const { entity_type: entityType, start, end, score } = (result ?? {}) as Record<string, unknown>;
        if (
          typeof entityType !== 'string' ||
          typeof start !== 'number' ||
          typeof end !== 'number' ||
          typeof score !== 'number'
        ) {
          throw unsearched(endpoint, 'answered with a result without entity_type, start, end and score');
        }
        return { entityType, start: place(start), end: place(end), score };
      });
    },
  };
}

function unsearched(endpoint: string, what: string, cause?: unknown): StrongroomError {
  return new StrongroomError(
    'ERR_PII_BLOCKED',
    `Presidio at ${endpoint} ${what}, so the text was not searched and nothing was stored. Repeat the call when Presidio answers.`,
    cause === undefined ? undefined : { cause },
  );
}

/** Python counts code points, JavaScript UTF-16 code units. */
function codePointPlaces(text: string): (place: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const places: number[] = [];
  let unit = 0;
  for (const character of text) {
    places.push(unit);
    unit += character.length;
  }
  places.push(unit);
  return (place) => places[place] ?? Number.NaN;
}
