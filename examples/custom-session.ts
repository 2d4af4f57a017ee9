/**
 * Your own session: the five methods of the SDK's `Session` over one JSON file. Any inner session works; the
 * wrapper has no members for features that the inner session lacks (transactions, here).
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Agent, Runner, type AgentInputItem, type Session } from '@openai/agents';
import { ScriptedModel, assistantMessage } from '@openai/agents/testing';
import { encrypt, expire, generateKey, keyring, wrapSession } from 'strongroom';

// #region session
function jsonFileSession(file: string, id: string): Session {
  const read = (): AgentInputItem[] =>
    existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as AgentInputItem[]) : [];
  // Renaming makes a write atomic: the runner may repeat a failed write, but not one that was stored in part.
  const write = (items: readonly AgentInputItem[]): void => {
    writeFileSync(`${file}.new`, JSON.stringify(items));
    renameSync(`${file}.new`, file);
  };
  return {
    getSessionId: async () => id,
    getItems: async (limit) => {
      const items = read();
      return limit === undefined ? items : limit > 0 ? items.slice(-limit) : [];
    },
    addItems: async (items) => write([...read(), ...items]),
    popItem: async () => {
      const items = read();
      const last = items.pop();
      if (last !== undefined) write(items);
      return last;
    },
    clearSession: async () => write([]),
  };
}
// #endregion

const keys = keyring({ current: await generateKey() });
const session = wrapSession(jsonFileSession('conversation.json', 'user-123'), [
  expire({ after: '30d' }),
  encrypt({ keys }),
]);

const model = new ScriptedModel([
  [assistantMessage('Noted: the blue one.')],
  [assistantMessage('You wanted the blue one.')],
]);
const agent = new Agent({ name: 'Shop', model });
const runner = new Runner({ tracingDisabled: true });
await runner.run(agent, 'I would like the blue one.', { session });
const second = await runner.run(agent, 'What did I want?', { session });

console.log(second.finalOutput);
console.log('Items of the conversation:', (await session.getItems()).length);
console.log('"blue" occurs in the file:', readFileSync('conversation.json', 'utf8').includes('blue'));
