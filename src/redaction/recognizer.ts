import type { MaybePromise } from '../layer.ts';
import type { Clues } from './clues.ts';

/** The location of a text, for recognizers and transforms. */
export interface TextContext {
  /** Type of the item: `message`, `function_call`, … */
  readonly itemType: string;
  /**
   * The path in the item: `content[0].text`, `arguments.customer.email`. Keys that are not plain identifiers,
   * that have many digits, or in which a built-in recognizer finds something are shown as `*`, because a key can itself
   * be a secret or personal data.
   */
  readonly path: string;
  /** The nearest object key above the text, unchanged; in an array, the key of the array. */
  readonly key?: string | undefined;
  /** The key above {@link key}. */
  readonly parentKey?: string | undefined;
  /** The text is itself an object key; {@link key} is the one above its object. */
  readonly isKey?: true | undefined;
}

/** One find. Offsets are UTF-16 code units of the text given to {@link Recognizer.analyze}. */
export interface RecognizerResult {
  /** Presidio's name where it has one: `EMAIL_ADDRESS`. */
  readonly entityType: string;
  /** First code unit. */
  readonly start: number;
  /** After the last code unit. */
  readonly end: number;
  /** Confidence from 0 to 1. */
  readonly score: number;
  /** A checksum or numbering plan proved it: wins against longer finds that are not proven. */
  readonly validated?: boolean;
}

/**
 * Finds entities in a text. `analyze` gets the text with Unicode variants folded (full-width digits, zero-width
 * characters); the offsets that it returns are mapped back. It must be deterministic: the runner compares stored
 * items with those that would be stored now. A recognizer that ever returns a promise must always do so.
 */
export interface Recognizer {
  /** Name in reports. */
  readonly name: string;
  /** The entities that it can find. */
  readonly entities: readonly string[];
  analyze(text: string, context: TextContext): MaybePromise<readonly RecognizerResult[]>;
}

/** A built-in recognizer: synchronous, with its patterns exposed for the linearity check. */
export interface BuiltInRecognizer extends Recognizer {
  /** Every regular expression that is used on text of unbounded length. */
  readonly patterns: readonly RegExp[];
  /** Bits of {@link CLUE}: in a text with none of them it finds nothing, in any context. */
  readonly clues: number;
  /** @param clues The clues of the text; without them the whole text is searched. */
  analyze(text: string, context: TextContext, clues?: Clues): readonly RecognizerResult[];
}

const pure = new WeakSet<Recognizer>();

/** Marks a recognizer of ours that depends on the text only: it may be called when options are checked. */
export function markPure<T extends Recognizer>(recognizer: T): T {
  pure.add(recognizer);
  return recognizer;
}

/** Whether {@link markPure} was called. */
export function isPure(recognizer: Recognizer): boolean {
  return pure.has(recognizer);
}
