import type { AgentInputItem } from '@openai/agents';

/** One find: its location and entity, never the value. */
export interface RedactionFinding {
  readonly entityType: string;
  /**
   * `content[0].text`, `arguments.customer.email`. A key that can be a value is `*`: one that is no identifier, that has
   * six digits and more or digits in three places, or in which a recognizer finds something.
   */
  readonly path: string;
  readonly itemType: string;
  readonly score: number;
  readonly recognizer: string;
  /** Name of the operator that was applied. */
  readonly operator: string;
}

/** A text, or a part of one, whose content was not searched. */
export interface UnsearchedText {
  /**
   * `oversize`: longer than `maxScanBytes`, replaced by `<UNSCANNED>` (`onOversize: 'drop'`). `encoded`: runs of
   * 512 and more characters of Base64 were searched without decoding (`decode`).
   */
  readonly reason: 'oversize' | 'encoded';
  /** `content[0].text`, `arguments.customer.email`. */
  readonly path: string;
  readonly itemType: string;
  /** UTF-16 code units. */
  readonly length: number;
}

/** An item and its redaction. */
export interface RedactedItem {
  /** The same object when nothing was changed. */
  readonly item: AgentInputItem;
  readonly findings: readonly RedactionFinding[];
  readonly unsearched: readonly UnsearchedText[];
  /** Tokens that replace values of this item, and the values. */
  readonly tokens: ReadonlyMap<string, string>;
}
