export { createRedactor, type Redactor, type RedactorOptions } from './create-redactor.ts';
export type { BuiltInEntity, Country, EntityType } from './entities.ts';
export type { HashKey } from './keyed-hash.ts';
export type { NumberReplacement, Operator, OperatorContext, OperatorOption } from './operators.ts';
export type { RedactionOptions, TransformContext } from './options.ts';
export { patternRecognizer, type PatternRecognizerOptions } from './pattern-recognizer.ts';
export {
  phoneNumberRecognizer,
  type FoundPhoneNumber,
  type PhoneNumberLibrary,
  type PhoneNumberRecognizerOptions,
} from './phone-number-recognizer.ts';
export { presidioRecognizer, type PresidioRecognizerOptions } from './presidio-recognizer.ts';
export type { Recognizer, RecognizerResult, TextContext } from './recognizer.ts';
export type { RedactionFinding, UnsearchedText } from './redacted-item.ts';
export { redactModelInput } from './redact-model-input.ts';
export { restoreToolArguments, type RestoreToolArgumentsOptions } from './restore-tool-arguments.ts';
