import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { isObject, typeOf } from '../options.ts';

/**
 * What `getItems()` of the inner session returned.
 *
 * @throws {@link StrongroomError} `ERR_STORE` when it is no list; `ERR_MALFORMED` when one of its records is no object.
 */
export function checkedRecords(records: unknown): AgentInputItem[] {
  if (!Array.isArray(records)) {
    throw new StrongroomError(
      'ERR_STORE',
      'getItems() of the inner session must return an array. Correct the inner session.',
    );
  }
  // Unlike `every`, it sees the holes of a list.
  const at = records.findIndex((record) => !isObject(record));
  if (at >= 0)
    throw notAnObject(
      `Record ${at + 1} of the ${records.length} that getItems() of the inner session returned, oldest first, is`,
      records[at],
    );
  return records as AgentInputItem[];
}

export function notAnObject(what: string, value: unknown): StrongroomError {
  return new StrongroomError(
    'ERR_MALFORMED',
    `${what} ${typeOf(value)} and not an object. Correct the inner session, or restore the record from a backup.`,
  );
}
