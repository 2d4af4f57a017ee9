import type { AgentInputItem } from '@openai/agents';

const WORDS =
  "the ticket of a customer's order was late and an agent wrote back about delivery refund account invoice number please check whether the well-known courier could deliver it again before Friday".split(
    ' ',
  );

/**
 * A conversation of the four usual kinds of items, always the same for the same arguments, of new objects each
 * time, so that nothing can be reused by object or by text.
 *
 * @param length Characters of text in each; the JSON around it takes another hundred.
 */
export function conversation(count: number, from: number = 0, length: number = 900): AgentInputItem[] {
  return Array.from({ length: count }, (_, index) => itemAt(from + index, length));
}

/** Items that one turn of a conversation adds: a message, a call, its result, an answer. */
export const TURN = 4;

/** The same as a list of turns. */
export function turnsOf(turns: number, from: number = 0, length: number = 900): AgentInputItem[][] {
  return Array.from({ length: turns }, (_, turn) => conversation(TURN, from + turn * TURN, length));
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
        arguments: JSON.stringify({ query: text, limit: 10 + (index % 90) }),
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

/**
 * Sentences with capitals, commas and full stops, that differ by seed; a linear congruential generator is random enough
 * for them.
 *
 * @param between Returns text to insert between two sentences now and then; gets the number of characters so far.
 */
export function prose(seed: number, length: number, between?: (position: number) => string): string {
  let state = Math.imul(seed + 1, 2_654_435_761);
  const next = (below: number): number => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    return Math.floor(((state >>> 0) / 4_294_967_296) * below);
  };
  const parts: string[] = [];
  let done = 0;
  while (done < length) {
    const words = Array.from({ length: 6 + next(10) }, () => WORDS[next(WORDS.length)] as string);
    words[next(words.length - 1)] += ',';
    const sentence = words.join(' ');
    const part = `${sentence[0]?.toUpperCase()}${sentence.slice(1)}. ${between?.(done) ?? ''}`;
    parts.push(part);
    done += part.length;
  }
  // One piece of memory: the first reader of a concatenated string flattens it.
  return Buffer.from(parts.join('').slice(0, length)).toString();
}
