import type { AgentInputItem, Session, SessionHistoryTransactionAwareSession } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';
import { PAGES, type Pages } from '../session-contract.ts';

/** A token of a record, and its value. */
export interface TokenUse {
  /** Absent if the record only repeats a token: then only the vault can have the value. */
  readonly value?: string | undefined;
  /** When the record expires, in Unix milliseconds; absent for never. */
  readonly until?: number | undefined;
}

/**
 * The values of tokens, in a session of the user's choice: wrapped in `encrypt()`, in another database, or both.
 * They are not kept in memory.
 */
export interface Vault {
  /**
   * Stores the tokens that are not among the newest ones already, for a text that is sent to the model. The record
   * that holds a token takes it over, see {@link Vault.use}.
   */
  issue(tokens: ReadonlyMap<string, string>): Promise<void>;
  /**
   * Extends the lifetime of the values of these tokens to that of the records that are about to be written: each
   * use that outlasts the items of the vault adds an item, which expires with its record and is purged like it.
   * Resolves before the records are written.
   *
   * @param now Unix milliseconds.
   */
  use(tokens: ReadonlyMap<string, TokenUse>, now: number): Promise<void>;
  /** The values of the given tokens that were issued in this session; reads back only as far as necessary. */
  find(tokens: Iterable<string>): Promise<ReadonlyMap<string, string>>;
  /** The values of all tokens that were issued in this session. */
  values(): Promise<ReadonlyMap<string, string>>;
  clear(): Promise<void>;
}

/** Checks that `session` can be a vault. Throws `ERR_INVALID_OPTION`. */
export function parseVault(where: string, session: unknown): Session {
  const members = (session ?? {}) as Record<string, unknown>;
  for (const name of ['getSessionId', 'getItems', 'addItems', 'clearSession']) {
    if (typeof members[name] !== 'function') {
      return invalidOption(
        where,
        'vault',
        'a Session, such as wrapSession(store.session(id), [encrypt(…)])',
        session,
      );
    }
  }
  return session as Session;
}

/**
 * Least number of newest items that a write or a look for a token reads. A write that read all of them would make the work
 * of a long conversation grow with its square; an older token is stored once more instead.
 */
const WINDOW = 256;

/** The content of an item of the vault. */
interface Kept {
  readonly token: string;
  readonly value: string;
  /** When the record that holds the token expires; absent for never. */
  readonly until?: number | undefined;
  /** Issued for the model; no record holds it yet. */
  readonly issued?: true | undefined;
}

/** One item for each token and use. */
export function createVault(session: Session): Vault {
  const newest = async (limit?: number): Promise<readonly Kept[]> =>
    (limit === undefined ? await session.getItems() : await session.getItems(limit)).map(entryOf);

  async function add(entries: readonly Kept[], now?: number): Promise<void> {
    const items = entries.map(itemOf);
    const pages = (session as { readonly [PAGES]?: Pages })[PAGES];
    if (now === undefined || pages === undefined) return session.addItems(items);
    // The headers of envelopes in the vault contain the expiry, so that a purge needs no key.
    return pages.append(
      items,
      entries.map(({ until }) => (until === undefined ? {} : { t: now, e: until })),
    );
  }

  /** Reads twice as much each time, so that all reads together cost little more than the last one. */
  async function find(tokens: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const wanted = new Set(tokens);
    const found = new Map<string, string>();
    for (let limit = WINDOW; wanted.size > 0; limit *= 2) {
      const items = await session.getItems(limit);
      // The items of the previous read are at the end.
      const unread = limit === WINDOW ? items : items.slice(0, Math.max(0, items.length - limit / 2));
      for (const { token, value } of unread.map(entryOf)) if (wanted.delete(token)) found.set(token, value);
      if (items.length < limit) break;
    }
    return found;
  }

  /** Removes the items that were issued for the model, of tokens that a record holds now. If that fails, they stay. */
  async function takeOver(tokens: ReadonlySet<string>): Promise<void> {
    if (!hasTransactions(session)) return;
    const items = await session.getItems(2 * WINDOW);
    const isOver = (item: AgentInputItem): boolean => {
      const { token, issued } = entryOf(item);
      return issued === true && tokens.has(token);
    };
    const first = items.findIndex(isOver);
    if (first < 0) return;
    const expectedSuffix = items.slice(first);
    try {
      await session.applyHistoryTransaction({
        operationId: `strongroom-vault-${randomName()}`,
        transaction: {
          type: 'replace_suffix',
          expectedSuffix,
          replacement: expectedSuffix.filter((item) => !isOver(item)),
        },
      });
    } catch (error) {
      // Another process wrote to it, or it is held: the next use takes the item over.
      const isLater = isStrongroomError(error) && ['ERR_CONFLICT', 'ERR_HELD'].includes(error.code);
      if (!isLater) throw error;
    }
  }

  return {
    find,
    async values() {
      return new Map((await newest()).map(({ token, value }) => [token, value]));
    },
    async issue(tokens) {
      if (tokens.size === 0) return;
      const known = new Set((await newest(Math.max(WINDOW, 2 * tokens.size))).map(({ token }) => token));
      const fresh = [...tokens].filter(([token]) => !known.has(token));
      if (fresh.length > 0) await add(fresh.map(([token, value]) => ({ token, value, issued: true })));
    },
    async use(tokens, now) {
      if (tokens.size === 0) return;
      const known = await newest(Math.max(WINDOW, 2 * tokens.size));
      const lasting = new Map<string, Kept>();
      for (const kept of known) {
        const before = lasting.get(kept.token);
        if (kept.issued !== true && (before === undefined || lastsAsLong(kept, before)))
          lasting.set(kept.token, kept);
      }
      const values = new Map(known.map(({ token, value }) => [token, value]));
      const wanted = [...tokens].filter(([token, use]) => {
        const before = lasting.get(token);
        return before === undefined || !lastsAsLong(before, use);
      });
      const missing = wanted.filter(([token, { value }]) => value === undefined && !values.has(token));
      for (const [token, value] of await find(missing.map(([token]) => token))) values.set(token, value);
      const fresh = wanted.flatMap(([token, { value = values.get(token), until }]): Kept[] =>
        value === undefined ? [] : [{ token, value, until }],
      );
      if (fresh.length > 0) await add(fresh, now);
      const issued = known.filter((kept) => kept.issued === true && tokens.has(kept.token));
      if (issued.length > 0) await takeOver(new Set(issued.map(({ token }) => token)));
    },
    clear: async () => session.clearSession(),
  };
}

function lastsAsLong(one: Pick<TokenUse, 'until'>, other: Pick<TokenUse, 'until'>): boolean {
  return (one.until ?? Number.POSITIVE_INFINITY) >= (other.until ?? Number.POSITIVE_INFINITY);
}

function hasTransactions(session: Session): session is SessionHistoryTransactionAwareSession {
  return (
    typeof (session as Partial<SessionHistoryTransactionAwareSession>).applyHistoryTransaction === 'function'
  );
}

function itemOf(kept: Kept): AgentInputItem {
  return {
    type: 'message',
    role: 'user',
    content: [{ type: 'input_text', text: JSON.stringify(kept) }],
  };
}

function entryOf(item: AgentInputItem): Kept {
  try {
    const text = (item as { content: readonly { text: string }[] }).content.map((part) => part.text).join('');
    const { token, value, until, issued } = JSON.parse(text) as Record<keyof Kept, unknown>;
    if (typeof token === 'string' && typeof value === 'string') {
      return {
        token,
        value,
        until: typeof until === 'number' ? until : undefined,
        issued: issued === true ? true : undefined,
      };
    }
  } catch {
    // refused below
  }
  throw new StrongroomError(
    'ERR_MALFORMED',
    'The vault contains an item that is not a token. Give the vault a session of its own that nothing else writes to.',
  );
}
