import type { AgentInputItem } from '@openai/agents';
import { envelopeText } from '../envelope.ts';
import { itemKey } from '../item.ts';

/** Equal for equal records: the envelope where there is one (backends add ids around it), else the whole item. */
export function recordKey(record: AgentInputItem): string {
  return envelopeText(record) ?? itemKey(record);
}
