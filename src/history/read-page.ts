import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';
import { recordKey } from '../protocol/envelope.ts';
import type { PagedItem, PageOfItems, PastRecord, ReadPast, ShowRecords } from '../session-contract.ts';

/** The oldest record of a page: how many records of the history are not older, and which one it is. */
interface Edge {
  readonly skip: number;
  readonly key: string;
}

interface Seen {
  readonly edge: () => Edge;
  readonly shown: PagedItem | undefined;
}

const KEY_BYTES = 12;
const FORM = /^([1-9]\d{0,14})\.([\w-]{16})$/;

/**
 * Identifies a record in one history: always for sealed records, for others unless they are equal and of the same
 * millisecond.
 */
function keyOfRecord({ record, writtenAt }: PastRecord): string {
  return toBase64url(sha256(utf8(`${writtenAt ?? ''} ${recordKey(record)}`)).subarray(0, KEY_BYTES));
}

/**
 * The last `limit` visible items (all when absent), or those before a page that was read earlier. Opens the records of
 * the page, and older ones only in the place of hidden ones.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a cursor that is not from a page; `ERR_CONFLICT` when
 * the record at the end of that page was removed.
 */
export async function readPage(
  where: string,
  {
    before,
    limit = Number.POSITIVE_INFINITY,
  }: { readonly before?: string | undefined; readonly limit?: number | undefined },
  read: ReadPast,
  show: ShowRecords,
): Promise<PageOfItems> {
  let edge = before === undefined ? undefined : parseCursor(where, before);
  let seen: Seen[] = [];
  let visible = 0;
  let isFirst = false;
  // Where many in a row are hidden, each step takes more.
  for (let least = 1; visible < limit && !isFirst;) {
    const past = await olderThan(where, edge, Math.max(limit - visible, least), read);
    isFirst = past.isFirst;
    const shown = await show(past.records.map(({ record }) => record));
    const { records, skip } = past;
    const next = records.map((record, index): Seen => {
      const item = shown[index];
      const key = (): string => keyOfRecord(record);
      return {
        edge: () => ({ skip: skip + records.length - index, key: key() }),
        shown: item && { ...item, at: item.at ?? record.writtenAt, key },
      };
    });
    const found = next.filter((each) => each.shown !== undefined).length;
    least = found === 0 ? 2 * next.length : 1;
    visible += found;
    seen = [...next, ...seen];
    edge = seen[0]?.edge();
  }
  const page = seen.filter((each): each is Seen & { readonly shown: PagedItem } => each.shown !== undefined);
  if (page.length > limit) {
    edge = page.at(-limit)?.edge();
    isFirst = false;
  }
  return {
    items: (page.length > limit ? page.slice(-limit) : page).map(({ shown }) => shown),
    before: isFirst || edge === undefined ? undefined : `${edge.skip}.${edge.key}`,
  };
}

/** The `count` records before the edge. One more is read, to know whether there are others. */
async function olderThan(
  where: string,
  edge: Edge | undefined,
  count: number,
  read: ReadPast,
): Promise<{ readonly records: readonly PastRecord[]; readonly skip: number; readonly isFirst: boolean }> {
  const reach = Number.isFinite(count) ? count + 1 : undefined;
  const result = (found: readonly PastRecord[], skip: number) => ({
    records: found.length > count ? found.slice(-count) : found,
    skip,
    isFirst: found.length <= count,
  });
  if (edge === undefined) return result(await read(reach, 0), 0);
  const { skip, key } = edge;
  const found = await read(reach === undefined ? undefined : reach + 1, skip - 1);
  if (found.length > 0 && keyOfRecord(found.at(-1) as PastRecord) === key)
    return result(found.slice(0, -1), skip);
  // The history has grown or shrunk since, so the edge is at another position. No record is opened to find it.
  const all = await read(undefined, 0);
  const at = all.findLastIndex((record) => keyOfRecord(record) === key);
  if (at < 0) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `${where}: the item at which the page before this one ended is gone from the history, or was sealed anew. Read the newest page again, without before.`,
    );
  }
  const older = all.slice(0, at);
  return result(reach === undefined ? older : older.slice(-reach), all.length - at);
}

function parseCursor(where: string, before: unknown): Edge {
  const [, skip, key] = (typeof before === 'string' ? FORM.exec(before) : undefined) ?? [];
  if (skip === undefined || key === undefined) {
    return invalidOption(where, 'before', 'what an earlier page gave as before', before);
  }
  return { skip: Number(skip), key };
}
