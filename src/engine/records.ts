import type { AgentInputItem } from '@openai/agents';
import type { Entry } from '../layer.ts';
import { own } from '../protocol/item.ts';
import type { Stack } from './stack.ts';

/** One record during a read: the stored record, the opened entry, and the visible entry. */
export interface Opened {
  readonly stored: AgentInputItem;
  /**
   * Opened and with all codecs undone, before any view: the item as it is written again. Absent when the record
   * could not or must not be opened.
   */
  readonly bottom?: Entry | undefined;
  /** The visible entry; absent when hidden. */
  readonly visible?: Entry | undefined;
  /** Hidden because it could not be read. */
  readonly skipped?: true | undefined;
}

/** One item during a write, in its forms. */
export interface Written extends Entry {
  /** Before any codec: the item that a later read opens. */
  readonly item: AgentInputItem;
  /** The item that the layers below the codecs got; a cache keeps it. */
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
