import type { AgentInputItem, Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { innerSession } from '../engine/inner.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption, parseCount } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { plainRecord } from '../protocol/sealed-record.ts';
import {
  historyOf,
  PAGES,
  type PageOfItems,
  type Pages,
  type ReadPageOptions,
  type ReadPast,
  type ShowRecords,
} from '../session-contract.ts';
import { readPage } from './read-page.ts';

/** Options of {@link page}. */
export interface PageOptions extends CallOrigin {
  /** `before` of the page after the requested one. Default: the newest page. */
  readonly before?: string | undefined;
  /** How many visible items, from 1 on. Default 20. */
  readonly limit?: number;
}

/** Details of an item beside its content. */
export interface ItemDetails {
  /** When it was written, in Unix milliseconds; absent when neither a layer nor the store records it. */
  readonly at?: number;
  /** The agent that wrote it, where the stack has `attribute()`. */
  readonly agent?: string;
}

/** Some items of a conversation, oldest first. */
export interface HistoryPage {
  readonly items: readonly AgentInputItem[];
  /** One element an item, in the same order. */
  readonly details: readonly ItemDetails[];
  /**
   * The cursor of the page before this one; absent on the first page. An opaque text, for {@link
   * PageOptions.before} of the same session. Items that are added or removed meanwhile do not move the page.
   */
  readonly before?: string;
}

const DEFAULT_LIMIT = 20;

/**
 * Reads one page of a conversation, the newest first: for a user who scrolls back. Of a session of our stores the records of the
 * page are read and opened, and no others; where some are hidden (`expire()`), older ones in their place. Over other
 * sessions everything after the page is read too, and not opened.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`; `ERR_CONFLICT` when the item at which the page begins was
 * removed, or sealed again (`reencrypt`): begin again without `before`. The errors of reading the session.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { page, type HistoryPage } from 'strongroom/history';
 *
 * export async function twoPages(session: Session): Promise<readonly HistoryPage[]> {
 *   const newest = await page(session, { limit: 20 });
 *   if (newest.before === undefined) return [newest];
 *   return [await page(session, { before: newest.before, limit: 20 }), newest];
 * }
 * ```
 */
export async function page(session: Session, options: PageOptions = {}): Promise<HistoryPage> {
  const where = 'page()';
  checkCall(where, options, ['before', 'limit']);
  const limit = parseCount(where, 'limit', options.limit ?? DEFAULT_LIMIT);
  const { items, before } = await pageOf(where, session, {
    before: options.before,
    limit,
    ...originOf(options),
  });
  return {
    items: items.map(({ item }) => item),
    details: items.map(({ at, agent }) => defined({ at, agent })),
    ...(before !== undefined && { before }),
  };
}

/** A page of any session, with all details of its items. */
export async function pageOf(
  where: string,
  session: Session,
  options: ReadPageOptions,
): Promise<PageOfItems> {
  if (typeof session?.getItems !== 'function') invalidOption(where, 'session', 'a session', session);
  const history = await historyOf(session, options.runContext);
  const offered = (history as { readonly [PAGES]?: Pages })[PAGES];
  const find = async (read: ReadPast, show: ShowRecords): Promise<PageOfItems> =>
    readPage(where, options, read, show);
  if (offered !== undefined) return offered.read(options, find);
  const inner = innerSession(history);
  return find(
    async (count, skip) => {
      const records = await inner.past(count, skip, options.runContext);
      return records.map((past) => ({ ...past, record: plainRecord(past.record) }));
    },
    async (records) => records.map((item) => ({ item })),
  );
}
