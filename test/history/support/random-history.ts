import type { AgentInputItem } from '@openai/agents';

/** A repeatable source of numbers in [0, 1). */
export type Random = () => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const user = (text: string): AgentInputItem => ({
  type: 'message',
  role: 'user',
  content: [{ type: 'input_text', text }],
});

export const assistant = (text: string): AgentInputItem => ({
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text }],
});

export const system = (text: string): AgentInputItem => ({ type: 'message', role: 'system', content: text });

export const call = (callId: string, name = 'f'): AgentInputItem => ({
  type: 'function_call',
  callId,
  name,
  arguments: '{}',
  status: 'completed',
});

export const result = (callId: string, output = 'ok', name = 'f'): AgentInputItem => ({
  type: 'function_call_result',
  callId,
  name,
  status: 'completed',
  output,
});

export const reasoning = (id: string): AgentInputItem => ({
  type: 'reasoning',
  id,
  content: [{ type: 'input_text', text: 'thinking' }],
});

export interface RandomHistoryOptions {
  readonly turns: number;
  /** Chance that a call stays without its result, a turn stops halfway, or a half stands alone. */
  readonly broken?: number;
  /** Chance that a call repeats an earlier `callId`. */
  readonly repeated?: number;
  /** Chance that the history begins with a compaction item, or in the middle of a turn. */
  readonly untidyStart?: number;
}

/**
 * A history as runs write it: turns of messages, reasoning, single and parallel calls of every kind, approvals that
 * are answered a turn later, system messages in between; some of it interrupted.
 */
export function randomHistory(random: Random, options: RandomHistoryOptions): AgentInputItem[] {
  const { turns, broken = 0.05, repeated = 0.1, untidyStart = 0.2 } = options;
  const items: AgentInputItem[] = [];
  const used: string[] = [];
  let serial = 0;
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const text = (): string => 'word '.repeat(1 + Math.floor(random() * random() * 60));
  const id = (): string => {
    if (used.length > 0 && random() < repeated) return pick(used);
    const fresh = `call_${serial++}`;
    used.push(fresh);
    return fresh;
  };
  const late: AgentInputItem[] = [];

  const pairOf = (): [AgentInputItem, AgentInputItem] => {
    const callId = id();
    switch (Math.floor(random() * 7)) {
      case 0:
        return [
          { type: 'computer_call', callId, status: 'completed', action: { type: 'screenshot' } },
          { type: 'computer_call_result', callId, output: { type: 'computer_screenshot', data: 'AAAA' } },
        ];
      case 1:
        return [
          { type: 'shell_call', callId, status: 'completed', action: { commands: ['ls'] } },
          {
            type: 'shell_call_output',
            callId,
            output: [{ stdout: text(), stderr: '', outcome: { type: 'exit', exitCode: 0 } }],
          },
        ];
      case 2:
        return [
          {
            type: 'apply_patch_call',
            callId,
            status: 'completed',
            operation: { type: 'delete_file', path: 'a.txt' },
          },
          { type: 'apply_patch_call_output', callId, status: 'completed', output: 'done' },
        ];
      case 3:
        return random() < 0.5
          ? [
              { type: 'tool_search_call', call_id: callId, arguments: { query: 'x' } },
              { type: 'tool_search_output', call_id: callId, tools: [] },
            ]
          : [call(callId), result(callId, text())];
      case 4:
        return [
          {
            type: 'hosted_tool_call',
            name: 'mcp_approval_request',
            id: `mcpr_${callId}`,
            providerData: { type: 'mcp_approval_request', id: `mcpr_${callId}` },
          },
          {
            type: 'hosted_tool_call',
            name: 'mcp_approval_response',
            providerData: {
              type: 'mcp_approval_response',
              approval_request_id: `mcpr_${callId}`,
              approve: true,
            },
          },
        ];
      default:
        return [call(callId), result(callId, text())];
    }
  };

  if (random() < untidyStart) {
    if (random() < 0.4) items.push({ type: 'compaction', id: 'cmp_1', encrypted_content: 'sealed' });
    else if (random() < 0.5) items.push(result('lost'), assistant('goes on'));
    else items.push(assistant('a greeting'));
  }
  if (random() < 0.3) items.push(system('rules'));
  for (let turn = 0; turn < turns; turn++) {
    if (random() < 0.05) items.push(system(`note ${turn}`));
    items.push(user(`${turn} ${text()}`));
    if (late.length > 0 && random() < 0.5) items.push(...late.splice(0));
    const steps = Math.floor(random() * 4);
    let stopped = false;
    for (let step = 0; step < steps && !stopped; step++) {
      if (random() < 0.4) items.push(reasoning(`rs_${serial++}`));
      if (random() < 0.2) items.push(assistant(`I will look. ${text()}`));
      if (random() < 0.1) {
        const programId = `prog_${serial++}`;
        const caller = { type: 'program', callerId: programId } as const;
        const owned = `owned_${serial++}`;
        items.push(
          { type: 'program', callId: programId, code: 'f()', fingerprint: 'x' },
          { type: 'function_call', callId: owned, name: 'f', arguments: '{}', caller },
          {
            type: 'function_call_result',
            callId: owned,
            name: 'f',
            status: 'completed',
            output: 'ok',
            caller,
          },
        );
        if (random() < broken) break;
        items.push({ type: 'program_output', callId: programId, output: text(), status: 'completed' });
        continue;
      }
      const pairs = Array.from({ length: random() < 0.3 ? 2 + Math.floor(random() * 2) : 1 }, pairOf);
      items.push(...pairs.map(([made]) => made));
      if (random() < 0.1)
        items.push({ type: 'hosted_tool_call', name: 'web_search_call', id: `ws_${serial++}` });
      for (const [, answer] of pairs) {
        if (random() < broken) stopped = true;
        else if (random() < 0.03) late.push(answer);
        else items.push(answer);
      }
    }
    if (!stopped && random() > broken) {
      if (random() < 0.3) items.push(reasoning(`rs_${serial++}`));
      items.push(assistant(text()));
    } else if (random() < 0.5) items.push(reasoning(`rs_${serial++}`));
    if (random() < broken * 0.3) items.push(result(`nobody_${serial++}`));
  }
  return items;
}
