import type { AgentInputItem } from '@openai/agents';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256, sha256InPieces } from '../crypto/hash.ts';
import { mapInSlices } from '../slices.ts';
import { itemKey } from './item.ts';

/**
 * SHA-256 of items as `getItems()` gives them; the order of keys does not matter. It is the `digest` of
 * `replacePrefix`.
 *
 * @returns base64url, 43 characters.
 */
export function historyDigest(items: readonly AgentInputItem[]): string {
  return digestOf(`[${items.map(itemKey).join(',')}]`);
}

/** The same, in slices: the texts of all items together can be as long as the history. */
export function digestInSlices(items: readonly AgentInputItem[]): string | Promise<string> {
  const hash = sha256InPieces();
  hash.update(utf8('['));
  const hashing = mapInSlices(
    items,
    (item, index) => hash.update(utf8(index === 0 ? itemKey(item) : `,${itemKey(item)}`)),
    4,
  );
  const end = (): string => {
    hash.update(utf8(']'));
    return toBase64url(hash.digest());
  };
  return Array.isArray(hashing) ? end() : hashing.then(end);
}

export function digestOf(text: string): string {
  return toBase64url(sha256(utf8(text)));
}

/** Operation ids come from the caller: the log keeps them at a fixed size, compared exactly on every database. */
export function operationKey(operationId: string): string {
  return toBase64url(sha256(utf8(operationId)).subarray(0, 24));
}
