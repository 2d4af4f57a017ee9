import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';

export type Transaction = SessionHistoryTransactionArgs['transaction'];

export function writtenItems(transaction: Transaction): readonly AgentInputItem[] {
  return transaction.type === 'append_items' ? transaction.items : transaction.replacement;
}

export function itemsOf(transaction: Transaction): readonly AgentInputItem[] {
  return transaction.type === 'append_items'
    ? transaction.items
    : [...transaction.expectedSuffix, ...transaction.replacement];
}

/** A transaction that the inner session checks itself can have any shape, and reading it can throw. */
export function removes({ transaction }: SessionHistoryTransactionArgs): boolean {
  try {
    return transaction.type === 'replace_suffix' && transaction.expectedSuffix.length > 0;
  } catch {
    return false;
  }
}
