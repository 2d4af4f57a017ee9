import { Agent, Runner, type AgentInputItem } from '@openai/agents';
import { assistantMessage, ScriptedModel } from '@openai/agents/testing';
import type { JWK } from 'jose';
import { wrapStore } from '../../src/index.ts';
import { openStore } from './open-store.ts';
import { runLayers } from './run-layers.ts';

/** What run-process.ts said of one turn. */
export interface Turn {
  readonly acknowledged: boolean;
  readonly session: string;
  readonly mark: string;
  /** Of a turn that failed. */
  readonly code?: string;
}

/** The turns in the output of a process; other lines are left out. */
export function turnsOf(lines: readonly string[]): Turn[] {
  return lines.flatMap((line) => {
    const [word, session = '', mark = '', ...code] = line.split(' ');
    if (word === 'done') return { acknowledged: true, session, mark };
    return word === 'failed' ? { acknowledged: false, session, mark, code: code.join(' ') } : [];
  });
}

/** What an item is in its turn, and in which: run-process.ts writes the mark of the turn into each. */
function placeOf(item: AgentInputItem): string {
  const mark = /m\w+x\d+m/.exec(JSON.stringify(item))?.[0] ?? 'unmarked';
  const role =
    item.type === undefined || item.type === 'message' ? (item as { role: string }).role : item.type;
  return `${mark} ${role}`;
}

const WHOLE = ['user', 'function_call', 'function_call_result', 'assistant'];

/**
 * What is wrong with the history of one session, one line a finding: an acknowledged turn that is not there whole and in one
 * piece, anything that is there twice, a call without its result, a result without its call, an address in clear.
 */
export function wrongIn(items: readonly AgentInputItem[], turns: readonly Turn[]): string[] {
  const found: string[] = [];
  const places = items.map(placeOf);
  for (const [index, place] of places.entries()) {
    if (places.indexOf(place) !== index) found.push(`doubled: ${place}`);
    const [mark, kind] = place.split(' ');
    if (kind === 'function_call' && !places.includes(`${mark} function_call_result`)) {
      found.push(`a call without a result: ${place}`);
    }
    if (kind === 'function_call_result' && !places.includes(`${mark} function_call`)) {
      found.push(`a result without a call: ${place}`);
    }
  }
  for (const { acknowledged, mark } of turns) {
    if (!acknowledged) continue;
    const start = places.indexOf(`${mark} user`);
    const there = places.slice(start, start + WHOLE.length);
    if (start < 0 || there.join() !== WHOLE.map((kind) => `${mark} ${kind}`).join()) {
      found.push(`acknowledged, and not there in one piece: ${mark}`);
    }
  }
  if (JSON.stringify(items).includes('ada@example.com')) found.push('an address in clear');
  return found;
}

/**
 * Reads every session as a process that starts now would, and gives each another turn.
 *
 * @returns What is wrong, one line a finding. A session that cannot be read or does not take a turn throws.
 */
export async function findings(
  target: string,
  name: string,
  key: JWK,
  turns: readonly Turn[],
): Promise<string[]> {
  await using store = openStore(target, name);
  const sessions = wrapStore(store, runLayers(key));
  const runner = new Runner({ tracingDisabled: true });
  const ids = [...new Set(turns.map(({ session }) => session))];
  const each = await Promise.all(
    ids.map(async (id) => {
      const session = sessions.session(id);
      const wrong = wrongIn(
        await session.getItems(),
        turns.filter((turn) => turn.session === id),
      );
      const model = new ScriptedModel([[assistantMessage('answer m_x0m')]]);
      await runner.run(new Agent({ name: 'Support', model }), 'm_x0m: once more', { session });
      return wrong.map((finding) => `${id}: ${finding}`);
    }),
  );
  for (const id of ids) await store.deleteSession(id);
  return each.flat();
}
