import type { AgentInputItem } from '@openai/agents';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { sha256 } from '../crypto/hash.ts';
import { itemKey } from './item.ts';

/**
 * SHA-256 of items as `getItems()` gives them, the same for structurally equal items whatever the order of their
 * keys. It is the `digest` of `replacePrefix`.
 *
 * @returns base64url, 43 characters.
 */
export function historyDigest(items: readonly AgentInputItem[]): string {
  return digestOf(`[${items.map(itemKey).join(',')}]`);
}

export function digestOf(text: string): string {
  return toBase64url(sha256(utf8(text)));
}

/** Operation ids come from the caller: the log keeps them at a fixed size, compared exactly on every database. */
export function operationKey(operationId: string): string {
  return toBase64url(sha256(utf8(operationId)).subarray(0, 24));
}
