import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { checkOptions, checkPlainObject, invalidOption, parseCount, shownName } from '../options.ts';
import { CLUE } from './clues.ts';
import {
  BUILT_IN_RECOGNIZERS,
  COUNTRY_ENTITIES,
  DEFAULT_ENTITIES,
  type Country,
  type EntityType,
} from './entities.ts';
import { prepareOperator, type OperatorOption, type PreparedOperator } from './operators.ts';
import { isPure, type Recognizer, type RecognizerResult } from './recognizer.ts';
import { obfuscatedEmailRecognizer } from './recognizers/obfuscated-email.ts';
import { foldedView } from './text-view.ts';
import { phraseRecognizer } from './word-list.ts';
import { latePattern } from './late.ts';

const LETTER_OR_DIGIT = latePattern(String.raw`[\p{L}\p{N}]`, 'u');

/** The location of a text that a {@link RedactionOptions.transform} gets. */
export interface TransformContext {
  /** `content[0].text`, `arguments.customer.email`; a key that can be a value is `*`, see {@link RedactionFinding.path}. */
  readonly path: string;
  /** The original item, which must not be changed. */
  readonly item: AgentInputItem;
}

/** What to find, and how finds are replaced. */
export interface RedactionOptions {
  /**
   * Entities to find. Default: those that a checksum or a fixed format makes precise ({@link BuiltInEntity}; not
   * `URL` and the identity numbers of countries); `[]` for only those of `recognizers`, `countries` and `denyList`.
   */
  readonly entities?: readonly EntityType[];
  /** Countries whose identity numbers are also found, by ISO 3166-1 code: AU, DE, ES, GB, IN, IT, PL, US. */
  readonly countries?: readonly Country[];
  /** The operator for finds, by entity; `DEFAULT` for all others. Default: `replace`. */
  readonly operators?: Readonly<Record<string, OperatorOption>>;
  /** Your own recognizers, in addition to the built-in ones. */
  readonly recognizers?: readonly Recognizer[];
  /** Values that are not replaced: texts (any case) or patterns that match the whole value. */
  readonly allowList?: readonly (string | RegExp)[];
  /**
   * Phrases that are always found, by entity: whole words, any case, any white space between them. In scripts that are
   * written without spaces or with endings (Han, kana, Hangul, Thai, …) also within other text.
   */
  readonly denyList?: Readonly<Record<string, readonly string[]>>;
  /**
   * Your own rewriting of each text, after the recognizers: the literals of JSON text one by one, without keys. It
   * must be deterministic and idempotent, and return a promise always or never.
   */
  readonly transform?: (text: string, context: TransformContext) => MaybePromise<string>;
  /** Finds below this score are not replaced, from 0 to 1. Default 0.5. */
  readonly scoreThreshold?: number;
  /**
   * Encodings to look through. `'percent'` (default): percent-encoding, escapes such as `\n`, `\x40` and
   * `\u0040`, numeric character references and `&nbsp;`, the `+` of a query or a form, colours of terminals. `'base64'`: readable text of at most 64 KiB; the encoded text is replaced as a whole.
   * `'obfuscated'`: obfuscated e-mail addresses, such as `name [at] host [dot] com` and "name at host dot com".
   */
  readonly decode?: readonly ('percent' | 'base64' | 'obfuscated')[];
  /** Longest field that is searched, in bytes of UTF-8, before and after redaction. Default 32 MiB. */
  readonly maxScanBytes?: number;
  /**
   * How a longer field is treated: `'block'` (default) refuses the write with `ERR_PII_BLOCKED`, `'drop'` stores
   * `<UNSCANNED>` in its place.
   */
  readonly onOversize?: 'block' | 'drop';
}

/** A recognizer with its clues. */
export interface StatedRecognizer {
  readonly recognizer: Recognizer;
  /** Bits of {@link CLUE}. */
  readonly clues: number;
}

/** Checked options. */
export interface RedactionSettings {
  readonly recognizers: readonly StatedRecognizer[];
  /** The clues of all recognizers. */
  readonly clues: number;
  isWanted(entityType: string): boolean;
  isAllowed(value: string): boolean;
  readonly operators: ReadonlyMap<string, PreparedOperator>;
  readonly defaultOperator: PreparedOperator;
  readonly transform?: ((text: string, context: TransformContext) => MaybePromise<string>) | undefined;
  readonly scoreThreshold: number;
  readonly decode: ReadonlySet<string>;
  readonly maxScanBytes: number;
  readonly onOversize: 'block' | 'drop';
  /** Whether it is already known that promises are returned. */
  readonly isAsynchronous: boolean;
}

const REDACTION_OPTIONS: readonly string[] = [
  'entities',
  'countries',
  'operators',
  'recognizers',
  'allowList',
  'denyList',
  'transform',
  'scoreThreshold',
  'decode',
  'maxScanBytes',
  'onOversize',
];

const ENCODINGS: readonly unknown[] = ['percent', 'base64', 'obfuscated'];
const DEFAULT_THRESHOLD = 0.5;
const DEFAULT_MAX_SCAN_BYTES = 32 * 1024 * 1024;
const ENTITY_NAME = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Checks redaction options. Throws `ERR_INVALID_OPTION`. */
export function parseRedactionOptions(
  where: string,
  options: RedactionOptions,
  more: readonly string[] = [],
): RedactionSettings {
  checkOptions(where, options, [...REDACTION_OPTIONS, ...more]);
  const own = [...parseRecognizers(where, options.recognizers), ...parseDenyList(where, options.denyList)];
  const ownEntities = new Set(own.flatMap((recognizer) => recognizer.entities));
  const wanted = new Set<string>([
    ...parseEntities(where, options.entities, ownEntities),
    ...parseCountries(where, options.countries),
    ...ownEntities,
  ]);
  const builtIn = BUILT_IN_RECOGNIZERS.filter((recognizer) =>
    recognizer.entities.some((entity) => wanted.has(entity)),
  );
  const operators = parseOperators(where, options.operators, wanted);
  const {
    transform,
    scoreThreshold = DEFAULT_THRESHOLD,
    onOversize = 'block',
    decode = ['percent'],
  } = options;
  if (transform !== undefined && typeof transform !== 'function') {
    invalidOption(where, 'transform', 'a function', transform);
  }
  if (typeof scoreThreshold !== 'number' || !(scoreThreshold >= 0 && scoreThreshold <= 1)) {
    invalidOption(where, 'scoreThreshold', 'a number from 0 to 1', scoreThreshold);
  }
  if (onOversize !== 'block' && onOversize !== 'drop') {
    invalidOption(where, 'onOversize', "'block' or 'drop'", onOversize);
  }
  if (!Array.isArray(decode) || decode.some((encoding) => !ENCODINGS.includes(encoding))) {
    invalidOption(where, 'decode', "an array of 'percent', 'base64' and 'obfuscated'", decode);
  }
  const hidden =
    decode.includes('obfuscated') && wanted.has('EMAIL_ADDRESS') ? [obfuscatedEmailRecognizer] : [];
  const recognizers: readonly StatedRecognizer[] = [
    ...[...builtIn, ...hidden].map((recognizer) => ({ recognizer, clues: recognizer.clues })),
    ...own.map((recognizer) => ({ recognizer, clues: CLUE.always })),
  ];
  const settings: RedactionSettings = {
    recognizers,
    clues: recognizers.reduce((all, { clues }) => all | clues, 0),
    isWanted: (entityType) => wanted.has(entityType),
    isAllowed: parseAllowList(where, options.allowList),
    operators,
    defaultOperator: operators.get('DEFAULT') ?? prepareOperator(where, 'operators.DEFAULT', 'replace'),
    transform,
    scoreThreshold,
    decode: new Set(decode),
    maxScanBytes: parseCount(where, 'maxScanBytes', options.maxScanBytes ?? DEFAULT_MAX_SCAN_BYTES),
    onOversize,
    isAsynchronous: [transform, ...own.map((recognizer): unknown => Reflect.get(recognizer, 'analyze'))].some(
      isAsyncFunction,
    ),
  };
  checkReplacements(where, settings, wanted, [...builtIn, ...own.filter(isPure)]);
  return settings;
}

/** Refuses a vault without an operator that issues tokens: it would stay empty. Throws `ERR_INVALID_OPTION`. */
export function requirePseudonyms(where: string, settings: RedactionSettings): void {
  const operators = [settings.defaultOperator, ...settings.operators.values()];
  if (operators.some((operator) => operator.type === 'pseudonymize')) return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: vault needs an operator that issues tokens, such as operators: { DEFAULT: { type: 'pseudonymize', key } }.`,
  );
}

function parseCountries(where: string, countries: unknown): readonly string[] {
  if (countries === undefined) return [];
  const rule = `an array of country codes (${Object.keys(COUNTRY_ENTITIES).join(', ')})`;
  if (!Array.isArray(countries)) return invalidOption(where, 'countries', rule, countries);
  return countries.flatMap((country: unknown) => {
    if (typeof country !== 'string') return invalidOption(where, 'countries', rule, country);
    if (Object.hasOwn(COUNTRY_ENTITIES, country)) return COUNTRY_ENTITIES[country as Country];
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: no identity numbers are built in for the country ${shownName(country) ?? 'at this index'}; countries must be ${rule}.`,
    );
  });
}

function parseDenyList(where: string, denyList: unknown): readonly Recognizer[] {
  if (denyList === undefined) return [];
  const rule = "an object with an array of phrases for each entity, such as { PERSON: ['Jane Roe'] }";
  checkPlainObject(where, 'denyList', rule, denyList);
  return Object.entries(denyList).map(([entity, phrases]: [string, unknown]) => {
    if (!ENTITY_NAME.test(entity) || entity === 'DEFAULT' || !Array.isArray(phrases)) {
      return invalidOption(where, 'denyList', rule, phrases);
    }
    for (const phrase of phrases) {
      if (typeof phrase !== 'string' || !LETTER_OR_DIGIT().test(phrase)) {
        invalidOption(where, `denyList.${entity}`, 'an array of phrases with letters or digits', phrase);
      }
    }
    return phraseRecognizer(entity, phrases as readonly string[]);
  });
}

function parseAllowList(where: string, allowList: unknown): (value: string) => boolean {
  if (allowList === undefined) return () => false;
  const rule = 'an array of strings and regular expressions';
  if (!Array.isArray(allowList)) return invalidOption(where, 'allowList', rule, allowList);
  const texts = new Set<string>();
  const patterns: RegExp[] = [];
  for (const entry of allowList) {
    if (typeof entry === 'string') texts.add(foldedView(entry).text.toLowerCase());
    else if (entry instanceof RegExp) {
      patterns.push(new RegExp(`^(?:${entry.source})$`, entry.flags.replace(/[gy]/g, '')));
    } else invalidOption(where, 'allowList', rule, entry);
  }
  return (value) =>
    texts.has(foldedView(value).text.toLowerCase()) || patterns.some((pattern) => allows(pattern, value));
}

/** A value on which the pattern exhausts the engine's stack is not allowed, so it is replaced. */
function allows(pattern: RegExp, value: string): boolean {
  try {
    return pattern.test(value);
  } catch {
    return false;
  }
}

function parseEntities(
  where: string,
  entities: unknown,
  ownEntities: ReadonlySet<string>,
): readonly string[] {
  if (entities === undefined) return DEFAULT_ENTITIES;
  if (!Array.isArray(entities)) invalidOption(where, 'entities', 'an array of entity names', entities);
  const known = new Set(BUILT_IN_RECOGNIZERS.flatMap((recognizer) => recognizer.entities));
  for (const entity of entities) {
    if (typeof entity !== 'string') invalidOption(where, 'entities', 'an array of entity names', entity);
    if (known.has(entity) || ownEntities.has(entity)) continue;
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: unknown entity ${ENTITY_NAME.test(entity) ? JSON.stringify(entity) : 'in the list'}. Built in: ${[...known].join(', ')}. ` +
        'For other entities pass a recognizer that finds them.',
    );
  }
  return entities as readonly string[];
}

function parseRecognizers(where: string, recognizers: unknown): readonly Recognizer[] {
  if (recognizers === undefined) return [];
  if (!Array.isArray(recognizers))
    invalidOption(where, 'recognizers', 'an array of recognizers', recognizers);
  for (const [index, recognizer] of recognizers.entries()) {
    const { name, entities, analyze } = (recognizer ?? {}) as Partial<Recognizer>;
    if (
      typeof name !== 'string' ||
      name === '' ||
      typeof analyze !== 'function' ||
      !Array.isArray(entities)
    ) {
      invalidOption(
        where,
        `recognizers[${index}]`,
        'an object with name, entities and analyze()',
        recognizer,
      );
    }
    for (const entity of entities) {
      if (typeof entity !== 'string' || !ENTITY_NAME.test(entity) || entity === 'DEFAULT') {
        invalidOption(
          where,
          `recognizers[${index}].entities`,
          'names in capital letters, such as EMPLOYEE_ID',
          entity,
        );
      }
    }
  }
  return [...recognizers] as readonly Recognizer[];
}

function parseOperators(
  where: string,
  operators: unknown,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, PreparedOperator> {
  const prepared = new Map<string, PreparedOperator>();
  if (operators === undefined) return prepared;
  checkPlainObject(where, 'operators', 'an object with an operator for each entity', operators);
  for (const [entity, operator] of Object.entries(operators)) {
    if (entity !== 'DEFAULT' && !wanted.has(entity)) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${where}: operators.${shownEntity(entity)} is for an entity that is not detected. Detected entities: ${[...wanted].join(', ')}.`,
      );
    }
    prepared.set(entity, prepareOperator(where, `operators.${entity}`, operator));
  }
  return prepared;
}

/** A replacement must not be found itself: it would be replaced again at each pass. */
/** What is done with the finds of an entity. */
export function operatorOf(
  { operators, defaultOperator }: Pick<RedactionSettings, 'operators' | 'defaultOperator'>,
  entityType: string,
): PreparedOperator {
  return operators.get(entityType) ?? defaultOperator;
}

function checkReplacements(
  where: string,
  settings: RedactionSettings,
  wanted: ReadonlySet<string>,
  recognizers: readonly Recognizer[],
): void {
  const context = { itemType: 'message', path: '' };
  for (const entity of wanted) {
    const operator = operatorOf(settings, entity);
    if (operator.type !== 'replace') continue;
    const replacement = operator.apply('', { entityType: entity, path: '' }) as string;
    const isFound = recognizers.some((recognizer) =>
      (recognizer.analyze(replacement, context) as readonly RecognizerResult[]).some(
        (result) => settings.isWanted(result.entityType) && result.score >= settings.scoreThreshold,
      ),
    );
    if (isFound)
      invalidOption(
        where,
        `operators.${entity}.with`,
        'a string in which no recognizer finds an entity',
        replacement,
      );
  }
}

/** A key that is not the name of an entity can be anything, also a secret. */
function shownEntity(name: string): string {
  return ENTITY_NAME.test(name) ? name : '*';
}

function isAsyncFunction(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object AsyncFunction]';
}
