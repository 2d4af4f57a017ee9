export { createRedactor, type Redactor } from './create-redactor.ts';
export type { BuiltInEntity, Country, EntityType } from './entities.ts';
export type { HashKey } from './keyed-hash.ts';
export type { Operator, OperatorContext, OperatorOption } from './operators.ts';
export type { RedactionOptions, TransformContext } from './options.ts';
export { patternRecognizer, type PatternRecognizerOptions } from './pattern-recognizer.ts';
export type { Recognizer, RecognizerResult, TextContext } from './recognizer.ts';
export type { RedactionFinding } from './redactor.ts';
