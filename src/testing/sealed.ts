import { AssertionError } from 'node:assert';
import type { AgentInputItem, RunContext, RunContextAwareSession, Session } from '@openai/agents';
import { fromBase64url, fromUtf8 } from '../crypto/encoding.ts';

/** How to read the session, see {@link assertSealed}. */
export interface SealedOptions {
  /** Chooses the history of an inner session that routes by it. */
  readonly runContext?: RunContext<unknown>;
  /** Whether a session without records passes. By default it does not, because it proves nothing. */
  readonly empty?: boolean;
}

/**
 * Asserts that every record of a session is sealed: one user message with one text, an `sr1` envelope whose header
 * names a suite and a data key.
 *
 * @param session The innermost session, not the wrapper: `new MemorySession()`, not `wrapSession(…)`.
 * @throws `AssertionError` with the index of the first record that is not sealed; its text is not quoted.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { assertSealed } from 'strongroom/testing';
 *
 * export const store = new MemorySession();
 * // … run an agent with wrapSession(store, [encrypt({ keys })]) …
 * export const check = (): Promise<void> => assertSealed(store);
 * ```
 */
export async function assertSealed(session: Session, options: SealedOptions = {}): Promise<void> {
  const records =
    options.runContext === undefined
      ? await session.getItems()
      : await (session as RunContextAwareSession).getItems(undefined, options.runContext);
  if (records.length === 0 && options.empty !== true) {
    throw failure('assertSealed: the session has no records, so nothing is proved. Add items first.');
  }
  records.forEach((record, index) => {
    const problem = whyNotSealed(record);
    if (problem !== undefined)
      throw failure(`Record ${index} of ${records.length} is not sealed: ${problem}.`);
  });
}

function failure(message: string): AssertionError {
  return new AssertionError({ message, stackStartFn: assertSealed });
}

function whyNotSealed(record: AgentInputItem): string | undefined {
  if (!('role' in record) || record.role !== 'user') return 'it is not a user message';
  const content: unknown = record.content;
  const part: unknown = Array.isArray(content) && content.length === 1 ? content[0] : undefined;
  const text =
    typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string'
      ? part.text
      : undefined;
  if (text === undefined) return 'it has no single text';
  const extra = Object.keys(record).filter((key) => !['type', 'role', 'content', 'id'].includes(key));
  if (extra.length > 0) return `it has further fields (${extra.join(', ')})`;
  const [version, headerSegment, body] = text.split('.', 3);
  if (version !== 'sr1' || headerSegment === undefined || body === undefined)
    return 'its text is not an envelope';
  const header = parseHeader(headerSegment);
  if (header === undefined) return 'its header cannot be read';
  if (typeof header['s'] !== 'string' || header['s'] === 'none') return 'its header names no suite';
  return typeof header['d'] === 'string' ? undefined : 'its header names no data key';
}

function parseHeader(segment: string): Record<string, unknown> | undefined {
  const bytes = fromBase64url(segment);
  try {
    const header: unknown = bytes === undefined ? undefined : JSON.parse(fromUtf8(bytes));
    return typeof header === 'object' && header !== null ? (header as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
