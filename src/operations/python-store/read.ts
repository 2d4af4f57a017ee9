import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError, StrongroomError } from '../../errors.ts';
import { callKey, resultKey } from '../../protocol/links.ts';
import { atOnce } from '../../options.ts';
import { keptPythonItem, pythonItem } from '../python-item.ts';
import { openPythonItem, pythonKey } from '../python-session.ts';
import type { MessageRow, SessionRows, UsageRow } from './tables.ts';

/** One branch of a session that Python stored; a session without branches has only `main`. */
export interface PythonBranch {
  readonly name: string;
  /** Items of the JavaScript SDK, in their order. */
  readonly items: readonly AgentInputItem[];
  /** When each was written, in Unix milliseconds; `undefined` where Python did not record it. */
  readonly times: readonly (number | undefined)[];
  /** The branch with which it shares the most items at its beginning; absent for `main`. */
  readonly from?: string;
  /** When it was made, in Unix milliseconds; absent for `main`. */
  readonly created?: number;
}

/** The usage of one turn, as `AdvancedSQLiteSession` recorded it. */
export interface PythonTurnUsage {
  /** The id of its row. */
  readonly id: number;
  readonly branch: string;
  /** Which user message of the branch began the turn, from 1 on; absent when the branch has none of this number. */
  readonly turn?: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly inputTokensDetails: unknown;
  readonly outputTokensDetails: unknown;
}

/** A session that Python stored. */
export interface StoredPythonSession {
  readonly id: string;
  /** When its first message was written, in Unix milliseconds; absent when it has none, or Python did not record it. */
  readonly createdAt?: number;
  /** `main` first. */
  readonly branches: readonly PythonBranch[];
  readonly usage: readonly PythonTurnUsage[];
  /** Rows of messages. */
  readonly rows: number;
  /** Of these: rows that no branch shows, of deleted branches and of writes that failed. They are in no branch here. */
  readonly orphans: number;
  /** Of these: rows that could not be read, with `unreadable: 'skip'`. They are in no branch here. */
  readonly unreadable: number;
  /**
   * How many rows have no counterpart in the JavaScript SDK, by type, such as `web_search_call`. They are items of the type
   * `unknown`, which the SDK sends to the model unchanged.
   */
  readonly kept: Readonly<Record<string, number>>;
}

export interface ReadOptions {
  readonly encryptionKey: string | undefined;
  readonly encryptedAs: (id: string) => string;
  readonly plaintext: boolean;
  readonly unreadable: 'throw' | 'skip';
}

/** @throws {@link StrongroomError} For the first row that cannot be read, unless they are skipped. */
export function readSession(id: string, rows: SessionRows, options: ReadOptions): StoredPythonSession {
  const { encryptionKey } = options;
  const key =
    encryptionKey === undefined
      ? undefined
      : pythonKey(encryptionKey, atOnce('readPythonStore', 'encryptedAs', options.encryptedAs(id)));
  const opened = new Map<number, Record<string, unknown> | undefined>();
  for (const row of [...rows.branches.values()].flat()) {
    if (!opened.has(row.id)) opened.set(row.id, openRow(id, row, key, options));
  }
  key?.fill(0);

  const kept = new Map<string, number>();
  const counted = new Set<number>();
  const branches: (PythonBranch & {
    readonly ids: readonly number[];
    readonly turns: readonly (number | undefined)[];
  })[] = [];
  for (const [name, messages] of rows.branches) {
    const names = new Map<string, string>();
    const readable = messages.filter((row) => opened.get(row.id) !== undefined);
    const items = readable.map((row) => {
      const item = opened.get(row.id) as Record<string, unknown>;
      const mapped = pythonItem(item, names);
      if (mapped !== undefined) return mapped;
      if (!counted.has(row.id)) kept.set(typeOf(item), (kept.get(typeOf(item)) ?? 0) + 1);
      counted.add(row.id);
      return keptPythonItem(item);
    });
    const ids = readable.map((row) => row.id);
    const made = name === 'main' ? {} : origin(ids, branches, messages);
    branches.push({
      name,
      items,
      times: timesOf(items, readable),
      ...made,
      ids,
      turns: readable.map((row) => row.turn),
    });
  }
  const times = [...rows.branches.values()].flat().flatMap(({ createdAt }) => createdAt ?? []);
  return {
    id,
    ...(times.length > 0 && { createdAt: times.reduce((one, other) => Math.min(one, other)) }),
    branches: branches.map(({ ids: _ids, turns: _turns, ...branch }) => branch),
    usage: rows.usage.map((row) => usageOf(row, branches)),
    rows: opened.size + rows.orphans,
    orphans: rows.orphans,
    unreadable: [...opened.values()].filter((item) => item === undefined).length,
    kept: Object.fromEntries(kept),
  };
}

function openRow(
  id: string,
  row: MessageRow,
  key: Uint8Array | undefined,
  { encryptionKey, plaintext, unreadable }: ReadOptions,
): Record<string, unknown> | undefined {
  const label = `Row ${row.id} of session ${JSON.stringify(id)}`;
  try {
    let value: unknown;
    try {
      value = JSON.parse(row.text);
    } catch {
      throw new StrongroomError(
        'ERR_MALFORMED',
        `${label} is not JSON. Python skips such rows without an error; repair it, or pass unreadable: 'skip', which counts them.`,
      );
    }
    return openPythonItem(value, key, label, encryptionKey === undefined || plaintext);
  } catch (error) {
    // With a wrong key every row would be skipped, and without one every encrypted row.
    if (unreadable === 'skip' && isStrongroomError(error) && error.code === 'ERR_MALFORMED') return undefined;
    throw error;
  }
}

function typeOf({ type, role }: Record<string, unknown>): string {
  return typeof type === 'string' ? type : typeof role === 'string' ? `message of ${role}` : 'none';
}

/** A result has the time of its call, so that both expire together. */
function timesOf(
  items: readonly AgentInputItem[],
  rows: readonly MessageRow[],
): readonly (number | undefined)[] {
  const calls = new Map<string, number | undefined>();
  return items.map((item, index) => {
    const time = rows[index]?.createdAt;
    const closes = resultKey(item);
    const opens = callKey(item);
    if (opens !== undefined) calls.set(opens, time);
    return closes !== undefined && calls.has(closes) ? calls.get(closes) : time;
  });
}

function origin(
  ids: readonly number[],
  earlier: readonly { readonly name: string; readonly ids: readonly number[] }[],
  rows: readonly MessageRow[],
): Pick<PythonBranch, 'from' | 'created'> {
  const shared = ({ ids: others }: (typeof earlier)[number]): number => {
    const end = ids.findIndex((id, index) => id !== others[index]);
    return end < 0 ? ids.length : end;
  };
  const best = earlier.reduce((one, other) => (shared(other) > shared(one) ? other : one));
  const joined = rows.flatMap(({ joinedAt }) => joinedAt ?? []);
  return {
    from: best.name,
    ...(joined.length > 0 && { created: joined.reduce((one, other) => Math.min(one, other)) }),
  };
}

/**
 * Python's numbers of turns have gaps after `pop_item`; here turns are counted by user messages. Below
 * `EncryptedSession` Python sees no user messages, and numbers all turns 0.
 */
function usageOf(
  row: UsageRow,
  branches: readonly (PythonBranch & { readonly turns: readonly (number | undefined)[] })[],
): PythonTurnUsage {
  const branch = branches.find(({ name }) => name === row.branch);
  const at =
    row.turn < 1
      ? -1
      : (branch?.turns.findIndex((turn, index) => turn === row.turn && isUser(branch.items[index])) ?? -1);
  const turn = branch?.items.slice(0, at + 1).filter(isUser).length ?? 0;
  const { turn: _turn, ...rest } = row;
  return { ...rest, ...(at >= 0 && { turn }) };
}

export function isUser(item: AgentInputItem | undefined): boolean {
  return item !== undefined && (item as { role?: unknown }).role === 'user';
}
