import type { AgentInputItem } from '@openai/agents';

const WORDS =
  'the ticket of customer order was late and an agent wrote back about delivery refund account invoice number'.split(
    ' ',
  );

/**
 * A conversation of the four usual kinds of items, always the same.
 *
 * @param length Characters of text in each; the JSON around it takes another hundred.
 */
export function conversation(count: number, from: number = 0, length: number = 900): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => itemAt(from + index, length));
}

function itemAt(index: number, length: number): AgentInputItem {
  const callId = `call_${Math.floor(index / 4)}`;
  const text = prose(index, length);
  switch (index % 4) {
    case 0:
      return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    case 1:
      return {
        type: 'function_call',
        callId,
        name: 'search_tickets',
        status: 'completed',
        arguments: JSON.stringify({ query: text, limit: index }),
      };
    case 2:
      return {
        type: 'function_call_result',
        callId,
        name: 'search_tickets',
        status: 'completed',
        output: { type: 'text', text },
      };
    default:
      return {
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text }],
      };
  }
}

/** Text that differs by seed; a linear congruential generator is random enough for it. */
export function prose(seed: number, length: number): string {
  let state = seed * 2_654_435_761 + 1;
  let text = '';
  while (text.length < length) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += `${WORDS[state % WORDS.length] as string} `;
  }
  return text.slice(0, length);
}
