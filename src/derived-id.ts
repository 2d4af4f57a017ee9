import { defined } from './defined.ts';
import { StrongroomError } from './errors.ts';
import { checkText } from './limits.ts';
import { invalidOption } from './options.ts';

/**
 * A session that functions make beside another one. Its id has a form that no id of a user has: stores refuse
 * `~<letters>~…` unless the caller passes `derived`, and two different derived sessions never have the same id.
 */
export interface DerivedId {
  /** Its purpose, such as `'keys'`, `'branch'` or `'vault'`: 1 to 16 small letters. */
  readonly kind: string;
  /** The id of the session that it is derived from; can be derived itself. */
  readonly of: string;
  /** Its name, where there are several of a kind. */
  readonly name?: string;
}

const FORM = /^~([a-z]{1,16})~([^~]*)~([^]+)$/;
const RESERVED = /^~[a-z]{1,16}~/;

/**
 * The id of a derived session: `~<kind>~<name>~<id>`.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 * @example
 * ```ts
 * import { derivedId } from 'strongroom/history';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const store = openSqlite('conversations.db');
 * const vault = store.session(derivedId({ kind: 'vault', of: 'user-123' }), { derived: true });
 * ```
 */
export function derivedId({ kind, of, name = '' }: DerivedId): string {
  const where = 'derivedId()';
  if (typeof kind !== 'string' || !/^[a-z]{1,16}$/.test(kind))
    invalidOption(where, 'kind', '1 to 16 small letters', kind);
  checkText(where, 'of', of, Number.POSITIVE_INFINITY);
  if (name !== '') checkText(where, 'name', name, Number.POSITIVE_INFINITY);
  return `~${kind}~${name.replaceAll('%', '%25').replaceAll('~', '%7E')}~${of}`;
}

/** The parts of an id that {@link derivedId} made; `undefined` for any other text. */
export function parseDerivedId(id: string): DerivedId | undefined {
  const [, kind = '', encoded = '', of = ''] = FORM.exec(id) ?? [];
  if (kind === '') return undefined;
  const name = encoded.replaceAll('%7E', '~').replaceAll('%25', '%');
  const derived = defined({ kind, of, name: name === '' ? undefined : name });
  return derivedId(derived) === id ? derived : undefined;
}

/** The position of a derived session in the tree of its conversation. */
export interface Lineage {
  /** The id of the conversation at the top of the tree. */
  readonly root: string;
  /** The id of the session that it was derived from. */
  readonly parent: string;
  /** What it is: `'branch'`, `'archive'`, `'usage'`, `'vault'`, `'keys'`, … */
  readonly kind: string;
}

/**
 * The lineage in an id that {@link derivedId} made; `undefined` for a conversation. Migrations of the databases
 * take ids apart by the same form (see `ROOT_PATTERN`).
 */
export function lineageOf(id: string): Lineage | undefined {
  // Of almost every call: the id of a conversation.
  if (!id.startsWith('~')) return undefined;
  const [, kind = '', , parent = ''] = FORM.exec(id) ?? [];
  return kind === '' ? undefined : { root: lineageOf(parent)?.root ?? parent, parent, kind };
}

/** Whether the history of a session can begin with records of another one (decision 85). */
export function isBranch(id: string): boolean {
  return id.startsWith('~branch~') && lineageOf(id) !== undefined;
}

/** The conversation of a session: itself, if it is one. */
export function rootOf(id: string): string {
  return lineageOf(id)?.root ?? id;
}

/** The sessions that a session was derived from, its parent first, the root last; none for a conversation. */
export function ancestorsOf(id: string): readonly string[] {
  const parent = lineageOf(id)?.parent;
  return parent === undefined ? [] : [parent, ...ancestorsOf(parent)];
}

/** The part before the root in a derived id, as a regular expression for databases; a character must follow. */
export const ROOT_PATTERN = '^(~[a-z]{1,16}~[^~]*~)+';

/** Whether users cannot have this id. */
export function isReserved(id: string): boolean {
  // Most ids are not, and each write asks.
  return id.startsWith('~') && RESERVED.test(id);
}

/** Kinds that hold no content of items, and are never sealed: wrapped keys, names of branches, notes of an unfinished erasure. */
const WITHOUT_CONTENT = new Set(['keys', 'branches', 'erasing']);

export function isWithoutContent(kind: string | undefined): boolean {
  return kind !== undefined && WITHOUT_CONTENT.has(kind);
}

/** Whether a session holds items of a conversation: also not values that were taken out of items. */
export function holdsConversation(id: string): boolean {
  const kind = parseDerivedId(id)?.kind;
  return kind !== 'vault' && !isWithoutContent(kind);
}

let opening: string | undefined;

/** Calls a function that opens a derived session without passing `derived`. */
export function openDerived<T>(id: string, open: (id: string) => T): T {
  const before = opening;
  opening = id;
  try {
    return open(id);
  } finally {
    opening = before;
  }
}

/**
 * @param derived Whether the caller allows derived ids.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a derived id that the caller does not allow.
 */
export function checkReserved(where: string, id: string, derived: boolean | undefined): void {
  if (derived === true || opening === id || !isReserved(id)) return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: session ids that begin with ~, small letters and ~ are reserved for sessions that belong to other sessions ` +
      '(data keys, branches). Choose another id, or pass { derived: true } for an id from derivedId() or sessions({ derived: true }).',
  );
}
