import type { AgentInputItem } from '@openai/agents';
import type { SessionCall } from '../../layer.ts';
import { conflictError, SENTENCES } from '../../protocol/transaction.ts';
import type { Parts } from '../parts.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Opened } from '../records.ts';
import { writtenItems, type Transaction } from './items.ts';

/** How many records are searched for those of an operation. */
const OPERATION_WINDOW = 256;

/**
 * Whether another process, or this one before an eviction, applied the operation: its records carry its tag.
 *
 * @throws {@link StrongroomError} `ERR_CONFLICT` when records with the tag have other content.
 */
export async function wasApplied(
  { inner, pipeline, comparison, calls }: Parts,
  operationId: string,
  transaction: Transaction,
  call: SessionCall,
): Promise<boolean> {
  const result = writtenItems(transaction);
  // Queried before the records are read: an operation applied by then has its records among them, unless they were
  // removed again.
  const isApplied = (await inner.applied(operationId)) === true;
  const records = await inner.getItems(OPERATION_WINDOW, call.runContext);
  const anchor =
    result.length > 0 ? await findTagged(pipeline, records, operationId, result.length, call) : undefined;
  if (anchor === undefined) return isApplied;
  const opened = await pipeline.open(records, calls.quiet(call));
  const present = opened.filter((record) => record.bottom !== undefined);
  const at = present.indexOf(opened[anchor.record] as Opened);
  const isWhole = (kept: number): boolean => {
    const start = at - kept - anchor.index;
    return (
      start >= 0 &&
      result.every((item, index) => {
        const record = present[start + index];
        return record !== undefined && comparison.names(item, record);
      })
    );
  };
  // Unchanged items of a replacement kept their old records, with other tags or none. Their number is not known.
  const keptAtMost = transaction.type === 'append_items' ? 0 : result.length;
  const whole = at >= 0 && Array.from({ length: keptAtMost + 1 }, (_, kept) => kept).some(isWhole);
  if (!whole) throw conflictError(SENTENCES.reused);
  return true;
}

/** The first record that carries a tag of the operation, and which of its records it is. */
async function findTagged(
  pipeline: Pipeline,
  records: readonly AgentInputItem[],
  operationId: string,
  count: number,
  call: SessionCall,
): Promise<{ readonly record: number; readonly index: number } | undefined> {
  for (const [record, stored] of records.entries()) {
    const index = await pipeline.matches(stored, operationId, count, call);
    if (index >= 0) return { record, index };
  }
  return undefined;
}
