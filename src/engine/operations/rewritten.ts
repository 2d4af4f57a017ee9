import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import type { SessionCall } from '../../layer.ts';
import type { Pipeline } from '../pipeline.ts';
import { storedOf } from '../records.ts';

/** Without envelopes the inner session compares itself: everything goes through `write`, which is deterministic. */
export async function rewritten(
  pipeline: Pipeline,
  { operationId, transaction }: SessionHistoryTransactionArgs,
  call: SessionCall,
): Promise<SessionHistoryTransactionArgs> {
  const write = async (items: readonly AgentInputItem[]): Promise<AgentInputItem[]> =>
    (
      await pipeline.write(
        items.map((item) => ({ item, header: {} })),
        call,
      )
    ).map(storedOf);
  return {
    operationId,
    transaction:
      transaction.type === 'append_items'
        ? { type: 'append_items', items: await write(transaction.items) }
        : {
            type: 'replace_suffix',
            expectedSuffix: await write(transaction.expectedSuffix),
            replacement: await write(transaction.replacement),
          },
  };
}
