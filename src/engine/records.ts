import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import { own } from '../protocol/item.ts';
import type { Stack } from './stack.ts';

/** One record on its way up: what the inner session holds, what it opens to, and what the caller may see. */
export interface Opened {
  readonly stored: AgentInputItem;
  /**
   * Opened and with all codecs undone, before the layers that show: the item as it is written again. Absent when the
   * record could not or must not be opened.
   */
  readonly bottom?: Entry | undefined;
  /** What the caller sees; absent when hidden. */
  readonly visible?: Entry | undefined;
  /** Hidden because it could not be read. */
  readonly skipped?: true | undefined;
}

/** One item on its way down, in its forms. */
export interface Written extends Entry {
  /** Before any codec: what a later read opens it to. */
  readonly item: AgentInputItem;
  /** As the layers below the codecs got it: what a cache keeps. */
  readonly kept: AgentInputItem;
  /** The inner session's record. */
  readonly stored: AgentInputItem;
}

/** The records of these entries. Envelopes cannot be changed by anybody, so that a store may read them in slices. */
export function recordsOf(
  { enveloped }: Stack,
  entries: readonly { readonly stored?: AgentInputItem }[],
): AgentInputItem[] {
  const records = entries.map(storedOf);
  return enveloped ? own(records) : records;
}

/** The inner session's record of an entry that the pipeline made. */
export function storedOf(entry: { readonly stored?: AgentInputItem }): AgentInputItem {
  return entry.stored as AgentInputItem;
}
