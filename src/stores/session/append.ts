import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../../errors.ts';
import { isTaken, storeRow } from '../../keys/data-keys/key-row.ts';
import type { KeyRow } from '../../keys/data-keys/types.ts';
import { checkDek, type DekRecord } from '../../keys/dek-store.ts';
import type { AppendStep } from '../../layer.ts';
import { isOwn, listed } from '../../protocol/item.ts';
import { rowOf } from '../../protocol/sealed-record.ts';
import type { StoreDriver, StoredRecord } from '../driver.ts';
import { saying } from '../failure.ts';
import { newMark } from '../marks.ts';
import type { Changing } from './changing.ts';

/** `addItems`, and the marks of the appends of this process. */
export interface Appends {
  readonly addItems: (items: AgentInputItem[]) => Promise<void>;
  /** The version was read: from now on steps are remembered. */
  readonly watch: () => void;
  /** The acknowledged append whose last item is this object. */
  readonly stepOf: (last: AgentInputItem) => AppendStep | undefined;
}

export function createAppends(
  driver: StoreDriver,
  owner: { readonly subject?: string | undefined },
  { sessionId, encode, mutate }: Changing,
): Appends {
  let steps: WeakMap<AgentInputItem, AppendStep> | undefined;
  return {
    async addItems(items) {
      const list = isOwn(items) ? items : listed(items);
      const encoded = encode(list);
      const last = list.at(-1);
      if (last === undefined) return;
      const mark = newMark();
      await mutate((change, fence) => {
        const append = (records: readonly StoredRecord[]): Promise<void> => {
          const insert: Insert = (key) =>
            fence === undefined
              ? driver.append({ sessionId, records, mark, subject: owner.subject, key })
              : change({ records: 0 }, () => ({ remove: 'none', insert: records, mark }));
          const row = rowOf(list);
          return row === undefined ? insert() : insertWithRow(driver, row, fence === undefined, insert);
        };
        return Array.isArray(encoded) ? append(encoded) : encoded.then(append);
      });
      steps?.set(last, { records: list.length, mark });
    },
    watch() {
      steps ??= new WeakMap();
    },
    stepOf: (last) => steps?.get(last),
  };
}

/** Appends records, and a data key if it gets one. */
type Insert = (key?: DekRecord) => Promise<void>;

/**
 * Appends records, and the row of the data key that sealed them if it is not stored yet: in one transaction where
 * the driver can do that, else before. Queued with the changes of the session, so that no other call writes the
 * row.
 *
 * @param together Whether the append can include the row, if the driver supports it.
 */
async function insertWithRow(
  driver: StoreDriver,
  row: KeyRow,
  together: boolean,
  insert: Insert,
): Promise<void> {
  if (row.state !== 'new' || driver.takesKeys !== true || !together) {
    await saying('no', () => storeRow(driver.dekStore, row));
    return insert();
  }
  checkDek(driver.name, row.record);
  try {
    await insert(row.record);
    row.state = 'stored';
  } catch (error) {
    if (isTaken(error)) row.state = 'taken';
    else if (!isStrongroomError(error) || error.written !== 'no') row.state = 'stored';
    throw error;
  }
}
