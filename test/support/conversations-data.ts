import { existsSync, readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';

/** One recorded conversation. */
export interface RecordedConversation {
  readonly id: string;
  readonly items: AgentInputItem[];
}

const FILE = new URL('../../../shared/data/conversations.jsonl', import.meta.url);

/**
 * The recorded conversations that lie beside the repository, or `undefined`, said loudly, where they do not. In CI
 * their absence is a failure: a skipped law proves nothing.
 */
export function recordedConversations(): readonly RecordedConversation[] | undefined {
  if (!existsSync(FILE)) {
    const message =
      'SKIPPED: ../shared/data/conversations.jsonl is absent, real conversations were not replayed.';
    if (process.env['CI'] !== undefined) throw new Error(message);
    console.warn(message);
    return undefined;
  }
  return readFileSync(FILE, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RecordedConversation);
}
