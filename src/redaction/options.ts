import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { MaybePromise } from '../layer.ts';
import { checkOptions, invalidOption } from '../options.ts';
import { BUILT_IN_RECOGNIZERS, DEFAULT_ENTITIES, type EntityType } from './entities.ts';
import { isThenable } from './maybe.ts';
import { prepareOperator, type OperatorOption, type PreparedOperator } from './operators.ts';
import type { Recognizer } from './recognizer.ts';

/** Where a text that a {@link RedactionOptions.transform} gets stands. */
export interface TransformContext {
  /** `content[0].text`, `arguments.customer.email`; keys that are no identifiers are `*`. */
  readonly path: string;
  /** The item as it came. Not to be changed. */
  readonly item: AgentInputItem;
}

/** What to find and what becomes of it. */
export interface RedactionOptions {
  /**
   * What to find. Default: the entities that a checksum or a fixed form makes precise; `[]` for none but those of
   * `recognizers`.
   */
  readonly entities?: readonly EntityType[];
  /** What becomes of a find, by entity; `DEFAULT` for all others. Default: `replace`. */
  readonly operators?: Readonly<Record<string, OperatorOption>>;
  /** Recognizers of your own, beside the built-in ones. */
  readonly recognizers?: readonly Recognizer[];
  /**
   * Your own rewriting of each text, after the recognizers: the literals of JSON text one by one, keys not. It must
   * give the same for the same text and change nothing when applied twice; a promise always or never.
   */
  readonly transform?: (text: string, context: TransformContext) => MaybePromise<string>;
  /** Finds below this score stay, from 0 to 1. Default 0.5. */
  readonly scoreThreshold?: number;
}

/** Checked options. */
export interface RedactionSettings {
  readonly recognizers: readonly Recognizer[];
  isWanted(entityType: string): boolean;
  readonly operators: ReadonlyMap<string, PreparedOperator>;
  readonly defaultOperator: PreparedOperator;
  readonly transform?: (text: string, context: TransformContext) => MaybePromise<string>;
  readonly scoreThreshold: number;
  /** Known to return promises already now. */
  readonly isAsynchronous: boolean;
}

/** The names of {@link RedactionOptions}. */
const REDACTION_OPTIONS: readonly string[] = [
  'entities',
  'operators',
  'recognizers',
  'transform',
  'scoreThreshold',
];

/** Options that come with the breadth of redaction. */
const LATER_REDACTION_OPTIONS: readonly string[] = [
  'countries',
  'allowList',
  'denyList',
  'decode',
  'maxScanBytes',
  'onOversize',
  'vault',
];

const DEFAULT_THRESHOLD = 0.5;
const ENTITY_NAME = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Checks redaction options. Throws `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED`. */
export function parseRedactionOptions(
  where: string,
  options: RedactionOptions,
  more: readonly string[] = [],
): RedactionSettings {
  checkOptions(where, options, [...REDACTION_OPTIONS, ...more], LATER_REDACTION_OPTIONS);
  const own = parseRecognizers(where, options.recognizers);
  const ownEntities = new Set(own.flatMap((recognizer) => recognizer.entities));
  const wanted = new Set<string>([...parseEntities(where, options.entities, ownEntities), ...ownEntities]);
  const recognizers = [
    ...BUILT_IN_RECOGNIZERS.filter((recognizer) => recognizer.entities.some((entity) => wanted.has(entity))),
    ...own,
  ];
  const operators = parseOperators(where, options.operators, wanted);
  const { transform, scoreThreshold = DEFAULT_THRESHOLD } = options;
  if (transform !== undefined && typeof transform !== 'function') {
    invalidOption(where, 'transform', 'a function', transform);
  }
  if (typeof scoreThreshold !== 'number' || !(scoreThreshold >= 0 && scoreThreshold <= 1)) {
    invalidOption(where, 'scoreThreshold', 'a number from 0 to 1', scoreThreshold);
  }
  const settings: RedactionSettings = {
    recognizers,
    isWanted: (entityType) => wanted.has(entityType),
    operators,
    defaultOperator: operators.get('DEFAULT') ?? prepareOperator(where, 'operators.DEFAULT', 'replace'),
    ...(transform === undefined ? undefined : { transform }),
    scoreThreshold,
    isAsynchronous: [transform, ...own.map((recognizer): unknown => Reflect.get(recognizer, 'analyze'))].some(
      isAsyncFunction,
    ),
  };
  checkReplacements(where, settings, wanted);
  return settings;
}

function parseEntities(
  where: string,
  entities: unknown,
  ownEntities: ReadonlySet<string>,
): readonly string[] {
  if (entities === undefined) return DEFAULT_ENTITIES;
  if (!Array.isArray(entities)) invalidOption(where, 'entities', 'a list of entity names', entities);
  const known = new Set(BUILT_IN_RECOGNIZERS.flatMap((recognizer) => recognizer.entities));
  for (const entity of entities) {
    if (typeof entity !== 'string') invalidOption(where, 'entities', 'a list of entity names', entity);
    if (known.has(entity) || ownEntities.has(entity)) continue;
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: unknown entity ${JSON.stringify(entity)}. Built in: ${[...known].join(', ')}. ` +
        'For others give a recognizer that finds them.',
    );
  }
  return entities as readonly string[];
}

function parseRecognizers(where: string, recognizers: unknown): readonly Recognizer[] {
  if (recognizers === undefined) return [];
  if (!Array.isArray(recognizers)) invalidOption(where, 'recognizers', 'a list of recognizers', recognizers);
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
          'names of capitals, such as EMPLOYEE_ID',
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
  if (typeof operators !== 'object' || operators === null || Array.isArray(operators)) {
    invalidOption(where, 'operators', 'an object of operators by entity', operators);
  }
  for (const [entity, operator] of Object.entries(operators)) {
    if (entity !== 'DEFAULT' && !wanted.has(entity)) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${where}: operators.${entity} is for an entity that is not looked for. Looked for: ${[...wanted].join(', ')}.`,
      );
    }
    prepared.set(entity, prepareOperator(where, `operators.${entity}`, operator));
  }
  return prepared;
}

/** A replacement that is itself found would be replaced again at each pass. */
function checkReplacements(where: string, settings: RedactionSettings, wanted: ReadonlySet<string>): void {
  const context = { itemType: 'message', path: '' };
  for (const entity of wanted) {
    const operator = settings.operators.get(entity) ?? settings.defaultOperator;
    if (operator.type !== 'replace') continue;
    const replacement = operator.apply('', entity);
    for (const recognizer of settings.recognizers) {
      if (!(BUILT_IN_RECOGNIZERS as readonly Recognizer[]).includes(recognizer)) continue;
      const results = recognizer.analyze(replacement, context);
      if (!isThenable(results) && results.some((result) => settings.isWanted(result.entityType))) {
        invalidOption(where, `operators.${entity}.with`, 'a text that is no find itself', replacement);
      }
    }
  }
}

function isAsyncFunction(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object AsyncFunction]';
}
