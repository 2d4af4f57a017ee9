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

/** What the inner session checks itself can still be of any shape. */
export function removes({ transaction }: SessionHistoryTransactionArgs): boolean {
  const given = transaction as Transaction | undefined;
  return given?.type === 'replace_suffix' && (given.expectedSuffix as unknown[] | undefined)?.length !== 0;
}
