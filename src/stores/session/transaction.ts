import type { AgentInputItem, SessionHistoryTransactionArgs } from '@openai/agents';
import { operationKey } from '../../protocol/digest.ts';
import { itemKey } from '../../protocol/item.ts';
import {
  assertProtocolItems,
  assertSameOperation,
  conflictError,
  SENTENCES,
  snapshotTransaction,
  transactionDigest,
} from '../../protocol/transaction.ts';
import { mapInSlices } from '../../slices.ts';
import type { Change, StoredRecord } from '../driver.ts';
import { decodeRecord, inheritBirth } from '../record.ts';
import { unusedPositions } from '../unused-positions.ts';
import type { Changing } from './changing.ts';

export async function applyTransaction(
  { encode, mutate }: Changing,
  args: SessionHistoryTransactionArgs,
): Promise<void> {
  const { operationId, transaction } = snapshotTransaction(args);
  const digest = transactionDigest(transaction);
  const expectedSuffix = transaction.type === 'append_items' ? undefined : transaction.expectedSuffix;
  const items = transaction.type === 'append_items' ? transaction.items : transaction.replacement;
  const encoded = encode(items, true);
  const operation = { key: operationKey(operationId), digest };
  await mutate(async (change) => {
    const records = await encoded;
    await assertProtocolItems([...(expectedSuffix ?? []), ...items]);
    await change({ records: expectedSuffix?.length ?? 0, operation: operation.key }, (view) => {
      if (assertSameOperation(view.operation, digest)) return undefined;
      if (expectedSuffix === undefined) return { remove: 'none', insert: records, operation };
      return replaceSuffix(view.records, expectedSuffix, items, records, operation);
    });
  });
}

async function replaceSuffix(
  stored: readonly StoredRecord[],
  expected: readonly AgentInputItem[],
  items: readonly AgentInputItem[],
  records: readonly StoredRecord[],
  operation: NonNullable<Change['operation']>,
): Promise<Change> {
  const keysOfStored = await mapInSlices(stored, (record) => itemKey(decodeRecord(record, '')), 1);
  const keysOfExpected = await mapInSlices(expected, itemKey, 1);
  const matches =
    stored.length === expected.length && keysOfExpected.every((key, index) => key === keysOfStored[index]);
  if (!matches) {
    throw conflictError(SENTENCES.suffix);
  }
  // An item that stays keeps its record, with its original times.
  const take = unusedPositions(keysOfStored);
  const fresh = inheritBirth(records, stored);
  const replacing = (item: AgentInputItem, index: number): StoredRecord => {
    const same = take(itemKey(item));
    return (same === undefined ? fresh[index] : stored[same]) as StoredRecord;
  };
  const insert = await mapInSlices(items, replacing, 1);
  return { remove: { start: 0, count: stored.length }, insert, operation };
}
