import { defined } from '../defined.ts';
import type { Entry } from '../layer.ts';
import { agentOf } from '../protocol/agent-field.ts';

/** What is known of an exported item beside itself. */
export interface ItemDetails {
  /** When it was written, in Unix milliseconds; absent where the stack does not stamp. */
  readonly at?: number;
  /** The agent that said it, where `attribute()` knew it. */
  readonly agent?: string;
}

export function detailsOf({ header }: Pick<Entry, 'header'>): ItemDetails {
  return defined({ at: header.t, agent: agentOf(header) });
}
