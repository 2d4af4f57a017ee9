import type { MaybePromise } from '../layer.ts';
import type { Clues } from './clues.ts';

/** Where a text stands, for recognizers and transforms. */
export interface TextContext {
  /** Type of the item: `message`, `function_call`, … */
  readonly itemType: string;
  /**
   * Where in the item: `content[0].text`, `arguments.customer.email`. Keys that are no plain identifiers are
   * shown as `*`, because a key can itself be personal data.
   */
  readonly path: string;
  /** The nearest object key above the text, as it is; in an array, the key of the array. */
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
 * Finds entities in a text. `analyze` sees the text with Unicode variants folded (full-width digits, zero-width
 * characters); the offsets that it returns are mapped back. It must be deterministic: the runner compares what was
 * stored with what would be stored. A recognizer that ever returns a promise must always do so.
 */
export interface Recognizer {
  /** Stands in reports. */
  readonly name: string;
  /** What it can find. */
  readonly entities: readonly string[];
  analyze(text: string, context: TextContext): MaybePromise<readonly RecognizerResult[]>;
}

/** A built-in recognizer: synchronous, with its patterns in the open for the linearity check. */
export interface BuiltInRecognizer extends Recognizer {
  /** Every regular expression that meets text of unbounded length. */
  readonly patterns: readonly RegExp[];
  /** Bits of {@link CLUE}: in a text that shows none of them it finds nothing, whatever the context. */
  readonly clues: number;
  /** @param clues What the text shows; without them the whole text is searched. */
  analyze(text: string, context: TextContext, clues?: Clues): readonly RecognizerResult[];
}

const pure = new WeakSet<Recognizer>();

/** Marks a recognizer of ours that looks at nothing but the text: it may be tried out when options are checked. */
export function markPure<T extends Recognizer>(recognizer: T): T {
  pure.add(recognizer);
  return recognizer;
}

/** Whether {@link markPure} was called. */
export function isPure(recognizer: Recognizer): boolean {
  return pure.has(recognizer);
}
