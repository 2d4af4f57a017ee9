import type { AgentInputItem, Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';

/**
 * The values behind tokens, in a session of the user's choice: wrapped in `encrypt()`, in another database, or
 * both. Nothing of it is kept in memory.
 */
export interface Vault {
  /** Stores what is not stored yet. Resolves before the items that carry the tokens are written. */
  issue(tokens: ReadonlyMap<string, string>): Promise<void>;
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

/** One item a token: the token and its value as JSON. */
export function createVault(session: Session): Vault {
  const values = async (): Promise<ReadonlyMap<string, string>> => {
    const known = new Map<string, string>();
    for (const item of await session.getItems()) {
      const [token, value] = entryOf(item);
      known.set(token, value);
    }
    return known;
  };
  return {
    values,
    async issue(tokens) {
      if (tokens.size === 0) return;
      const known = await values();
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
    'The vault holds an item that is no token. Give it a session of its own that nothing else writes to.',
  );
}
