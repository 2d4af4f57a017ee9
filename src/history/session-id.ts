import { uuidV7 } from '../crypto/uuid.ts';
import { rootOf } from '../derived-id.ts';
import { invalidOption, parseCount } from '../options.ts';

/**
 * One session id from several parts, such as tenant, user and thread; without parts a new one, a UUID of version 7
 * (RFC 9562, section 5.7): random, and in the order of the milliseconds in which such ids were made. Different parts always give different ids
 * (`'a:b', 'c'` is not `'a', 'b:c'`), {@link parseSessionId} returns the parts, and each part is percent-encoded,
 * so that it cannot contain a separator. The id has only characters that every store, log and URL accepts.
 *
 * It is not a secret: a caller that knows an id can open the session. Check calls with `authorize()`.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION` for an empty part, or text that is not well-formed Unicode.
 *
 * @example
 * ```ts
 * import { sessionId } from 'strongroom/history';
 *
 * export const idOf = (tenant: string, user: string): string => sessionId(tenant, user, 'support');
 * export const newConversation = (): string => sessionId();
 * ```
 */
export function sessionId(): string;
export function sessionId(...parts: readonly [string, ...string[]]): string;
export function sessionId(...parts: readonly string[]): string {
  return parts.length === 0 ? uuidV7() : parts.map(encodePart).join(':');
}

/** The parts of an id that {@link sessionId} made; `undefined` for any other text. */
export function parseSessionId(id: string): string[] | undefined {
  try {
    const parts = id.split(':').map(decodeURIComponent);
    return parts.every((part) => part !== '') && parts.map(encodePart).join(':') === id ? parts : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The subject of a session whose id {@link sessionId} made: the first parts of the id, such as tenant and user,
 * joined as in the id. All sessions of a person then have the same subject.
 *
 * @param id The id of a session, or of one that belongs to it.
 * @param parts How many parts of the id identify the person, at least 1. Default 1.
 * @throws StrongroomError `ERR_INVALID_OPTION` for an id that {@link sessionId} did not make, or that has fewer parts.
 *
 * @example
 * ```ts
 * import { sessionId, subjectOf } from 'strongroom/history';
 * import { openSqlite, type StoreSession } from 'strongroom/sqlite';
 *
 * const store = openSqlite('conversations.db');
 *
 * export function support(tenant: string, user: string): StoreSession {
 *   const id = sessionId(tenant, user, 'support');
 *   return store.session(id, { subject: subjectOf(id, 2) });
 * }
 * ```
 */
export function subjectOf(id: string, parts: number = 1): string {
  const where = 'subjectOf()';
  parseCount(where, 'parts', parts);
  const found = typeof id === 'string' ? parseSessionId(rootOf(id)) : undefined;
  if (found === undefined || found.length < parts) {
    return invalidOption(where, 'id', `an id of sessionId() with at least ${parts} parts`, id);
  }
  return found.slice(0, parts).map(encodePart).join(':');
}

function encodePart(part: string): string {
  if (typeof part !== 'string' || part === '') {
    return invalidOption('sessionId()', 'every part', 'a non-empty string', part);
  }
  let encoded: string;
  try {
    encoded = encodeURIComponent(part);
  } catch {
    return invalidOption('sessionId()', 'every part', 'well-formed Unicode', part);
  }
  return encoded.replaceAll(/[!'()*~]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
