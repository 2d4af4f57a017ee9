import type { AgentInputItem, Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';

/**
 * The values behind tokens, in a session of the user's choice: wrapped in `encrypt()`, in another database, or
 * both. Nothing of it is kept in memory.
 */
export interface Vault {
  /**
   * Stores what does not stand among the newest tokens already. Resolves before the items that carry the tokens are
   * written.
   */
  issue(tokens: ReadonlyMap<string, string>): Promise<void>;
  /** The values of those of these tokens that were issued in this session; reads back no further than to find them. */
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
 * of a long conversation grow with its square; a token that stands further back is stored once more instead.
 */
const WINDOW = 256;

/** One item a token: the token and its value as JSON. */
export function createVault(session: Session): Vault {
  const newest = async (limit?: number): Promise<ReadonlyMap<string, string>> =>
    new Map((await (limit === undefined ? session.getItems() : session.getItems(limit))).map(entryOf));

  /** Reads twice as much each time, so that all reads together cost little more than the last one. */
  async function find(tokens: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const wanted = new Set(tokens);
    const found = new Map<string, string>();
    for (let limit = WINDOW; wanted.size > 0; limit *= 2) {
      const items = await session.getItems(limit);
      // What was read before stands at the end.
      const unread = limit === WINDOW ? items : items.slice(0, Math.max(0, items.length - limit / 2));
      for (const [token, value] of unread.map(entryOf)) if (wanted.delete(token)) found.set(token, value);
      if (items.length < limit) break;
    }
    return found;
  }

  return {
    find,
    values: async () => newest(),
    async issue(tokens) {
      if (tokens.size === 0) return;
      const known = await newest(Math.max(WINDOW, 2 * tokens.size));
      const fresh = [...tokens].filter(([token]) => !known.has(token));
      if (fresh.length > 0) await session.addItems(fresh.map(itemOf));
    },
    clear: async () => session.clearSession(),
  };
}

function itemOf([token, value]: readonly [string, string]): AgentInputItem {
  return {
    type: 'message',
    role: 'user',
    content: [{ type: 'input_text', text: JSON.stringify({ token, value }) }],
  };
}

function entryOf(item: AgentInputItem): readonly [token: string, value: string] {
  try {
    const text = (item as { content: readonly { text: string }[] }).content.map((part) => part.text).join('');
    const { token, value } = JSON.parse(text) as { token: unknown; value: unknown };
    if (typeof token === 'string' && typeof value === 'string') return [token, value];
  } catch {
    // refused below
  }
  throw new StrongroomError(
    'ERR_MALFORMED',
    'The vault contains an item that is not a token. Give the vault a session of its own that nothing else writes to.',
  );
}
