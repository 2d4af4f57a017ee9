import type { Header } from '../layer.ts';

/** The header field that names the agent which said an item; written by `attribute()`. */
export const AGENT_FIELD = 'x-agent';

export function agentOf(header: Header): string | undefined {
  const agent = header[AGENT_FIELD];
  return typeof agent === 'string' ? agent : undefined;
}
