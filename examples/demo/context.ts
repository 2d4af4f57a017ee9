/**
 * `npm run demo:context`: one long conversation, limited in three ways. What does each turn cost, how much of it does a
 * provider's prompt cache already hold, and does the provider accept it?
 *
 * A scripted model answers; nothing leaves this machine.
 */
import { parseArgs } from 'node:util';
import {
  Agent,
  MemorySession,
  Runner,
  tool,
  type AgentInputItem,
  type SessionInputCallback,
} from '@openai/agents';
import { ScriptedModel, assistantMessage, functionCall, modelResponder } from '@openai/agents/testing';
import { trimHistory } from 'strongroom';
import { dropOrphans, estimateTokens } from 'strongroom/history';
import { z } from 'zod';
import { check, note, row, title } from './screen.ts';

const { values } = parseArgs({ options: { turns: { type: 'string' }, budget: { type: 'string' } } });
const TURNS = Number(values.turns ?? 60);
const BUDGET = Number(values.budget ?? 4_000);

/** The prompt of one turn: its size, and how much of its beginning equals that of the previous turn. */
interface Turn {
  readonly tokens: number;
  readonly cached: number;
  readonly refused: boolean;
}

const instructions = 'You are the support desk of an airline. Be brief.';
const SUBJECTS = ['my booking', 'the refund', 'a seat by the window', 'the delayed flight', 'my suitcase'];
const tokensOf = (items: readonly AgentInputItem[]): number =>
  items.reduce((sum, item) => sum + estimateTokens(item), 0);

const looksUp = (turn: number): boolean => (turn * 37) % 10 < 5;

/** The same conversation for every way: about every second turn looks a booking up, in 40 to 400 words. */
async function converse(sessionInputCallback?: SessionInputCallback): Promise<Turn[]> {
  const turns: Turn[] = [];
  let before: readonly string[] = [];
  const first = modelResponder(({ request }) => {
    const input = request.input as AgentInputItem[];
    const items = input.map((item) => JSON.stringify(item));
    let same = 0;
    while (same < before.length && items[same] === before[same]) same++;
    turns.push({
      tokens: tokensOf(input),
      cached: tokensOf(input.slice(0, same)),
      refused: dropOrphans(input).length < input.length,
    });
    before = items;
    const turn = turns.length;
    return looksUp(turn)
      ? [functionCall('get_booking', { turn }, { callId: `call_${turn}` })]
      : [assistantMessage(`About ${SUBJECTS[turn % SUBJECTS.length]}: ${'it is all arranged. '.repeat(3)}`)];
  });
  const script = Array.from({ length: TURNS }, (_, turn) =>
    looksUp(turn + 1) ? [first, [assistantMessage(`I found booking ${turn + 1}.`)]] : [first],
  );
  const agent = new Agent({
    name: 'Desk',
    instructions,
    model: new ScriptedModel(script.flat()),
    tools: [
      tool({
        name: 'get_booking',
        description: 'Looks a booking up.',
        parameters: z.object({ turn: z.number() }),
        execute: ({ turn }) => `booking ${turn}: ${'leg segment fare rule '.repeat(10 + ((turn * 37) % 90))}`,
      }),
    ],
  });
  const session = new MemorySession();
  const runner = new Runner({ tracingDisabled: true });
  for (let turn = 1; turn <= TURNS; turn++) {
    await runner.run(agent, `Question ${turn}: what about ${SUBJECTS[turn % SUBJECTS.length]}?`, {
      session,
      ...(sessionInputCallback === undefined ? {} : { sessionInputCallback }),
    });
  }
  return turns;
}

/** Ten lines high: `█` was cached, `░` is new, one column a turn. */
function plot(turns: readonly Turn[], most: number): string {
  const height = 10;
  const lines: string[] = [];
  for (let line = height; line >= 1; line--) {
    const level = (most * (line - 0.5)) / height;
    const scale =
      line === height || line === 1 ? String(Math.round((most * line) / height)).padStart(7) : ' '.repeat(7);
    const bars = turns
      .map(({ tokens, cached }) => (cached >= level ? '█' : tokens >= level ? '░' : ' '))
      .join('');
    lines.push(`   ${scale} │${bars}`);
  }
  return `${lines.join('\n')}\n   ${' '.repeat(7)} └${'─'.repeat(turns.length)} turns\n`;
}

/** About as many items as the budget holds. */
const slice = Math.max(2, 2 * Math.round(BUDGET / 120));
const ways: readonly (readonly [string, SessionInputCallback | undefined])[] = [
  ['the whole history', undefined],
  [`history.slice(-${slice})`, (history, input) => [...history.slice(-slice), ...input]],
  [`trimHistory({ maxTokens: ${BUDGET} })`, trimHistory({ maxTokens: BUDGET })],
];

note(
  `${TURNS} turns of a support desk; tokens are estimated. █ at the beginning of the turn before, so cached; ░ new.`,
);
const results: (readonly Turn[])[] = [];
for (const [name, callback] of ways) {
  const turns = await converse(callback);
  results.push(turns);
  const total = turns.reduce((sum, { tokens }) => sum + tokens, 0);
  const cached = turns.reduce((sum, turn) => sum + turn.cached, 0);
  title(name);
  process.stdout.write(plot(turns, Math.max(...turns.map(({ tokens }) => tokens))));
  row(
    'tokens sent',
    `${total}, ${Math.round(total / TURNS)} a turn, ${Math.max(...turns.map(({ tokens }) => tokens))} at most`,
  );
  row(
    'of these cached',
    `${((cached / total) * 100).toFixed(1)} %, so ${total - cached} are new to the provider`,
  );
  row(
    'refused by a provider',
    `${turns.filter(({ refused }) => refused).length} turns (half of a tool call)`,
  );
}

const [, sliced = [], trimmed = []] = results;
const fresh = (turns: readonly Turn[]): number =>
  turns.reduce((sum, { tokens, cached }) => sum + tokens - cached, 0);
title('What it comes to');
check(
  trimmed.every(({ refused }) => !refused),
  'trimHistory sends no half of a tool call',
);
check(
  trimmed.every(({ tokens }) => tokens <= BUDGET + 50),
  `its history stays within ${BUDGET} tokens; the question comes on top`,
);
check(
  fresh(trimmed) < fresh(sliced) / 2,
  `it sends less than half of the new tokens that slice(-${slice}) sends: ${fresh(trimmed)} against ${fresh(sliced)}`,
);
