/** Day 2, another process: Ada is remembered, Bo sees nothing of her, and the desk counts what it did. */
import type { AgentInputItem } from '@openai/agents';
import type { AuditEvent } from 'strongroom';
import { ADA, BO, fromEnvironment, keysOf, openConversations } from './stack.ts';
import { answer, openDesk, scripted } from './desk.ts';
import { bytes, check, note, row, short, title } from './screen.ts';

const events: AuditEvent[] = [];
const { path, key } = fromEnvironment();
const conversations = openConversations({ path, key, sink: (event) => void events.push(event) });

/** The scripted answer is made from the model's input, so that it can only contain the stored history. */
const desk = openDesk(keysOf(key), [
  answer(({ request }) => {
    const given = JSON.stringify(request.input);
    const ticket = /T-\d+/.exec(given)?.[0];
    const paid = /(\d+) euros will be paid back/.exec(given)?.[1];
    return ticket === undefined
      ? 'I know nothing of you.'
      : `Welcome back, Ada. Ticket ${ticket}: ${paid} euros were paid back yesterday.`;
  }),
  answer(({ request }) =>
    /Ada|T-1042/.test(JSON.stringify(request.input))
      ? 'There is ticket T-1042.'
      : 'I have no ticket of yours, Bo.',
  ),
]);

title('Day 2 · Ada comes back');
note(`process ${process.pid}: nothing is left of the first one but the file and the key`);
const given = await desk.talk('Ada', 'Hello again. What came of my ticket?', conversations.session(ADA));

title('What the agent was given');
for (const item of given) row(kindOf(item), short(textOf(item), 90));
check(
  given.length > 1 && JSON.stringify(given).includes('Lindqvist'),
  'Ada is remembered: what she said yesterday came back out of the store',
);
check(
  !/ada\.lindqvist@example|4111 1111/.test(JSON.stringify(given)),
  'her address and her card number were replaced before they were stored',
);

title('Another customer');
const strange = await desk.talk(
  'Bo',
  'Good morning, I am Bo. Is there a ticket for me?',
  conversations.session(BO),
);
check(!/Ada|T-1042/.test(JSON.stringify(strange)), 'the model was given nothing of Ada');

title('What the operator sees without a key');
for await (const { id, items, bytes: size, firstAt, lastAt } of conversations.sessions()) {
  row(id, `${items} records, ${bytes(size)}, from ${time(firstAt)} to ${time(lastAt)}`);
}

title('What the audit layer reported of day 2 (never content)');
for (const operation of new Set(events.map((event) => event.operation))) {
  const calls = events.filter((event) => event.operation === operation);
  const items = calls.reduce((sum, { itemsIn, itemsOut }) => sum + (itemsOut ?? itemsIn ?? 0), 0);
  const took = calls.reduce((sum, { durationMs }) => sum + durationMs, 0);
  row(operation, `${calls.length} calls, ${items} items, ${took.toFixed(1)} ms`);
}
if (!scripted) note('A real model answered: its words are its own, the checks are the same.');
await conversations.close();

function kindOf(item: AgentInputItem): string {
  return 'role' in item ? item.role : (item.type ?? 'message');
}

function textOf(item: AgentInputItem): string {
  if (item.type === 'function_call') return `${item.name} ${item.arguments}`;
  if (item.type === 'function_call_result') {
    return typeof item.output === 'object' && 'text' in item.output
      ? item.output.text
      : JSON.stringify(item.output);
  }
  if (!('content' in item) || item.content === undefined) return '';
  if (typeof item.content === 'string') return item.content;
  return item.content.map((part) => ('text' in part ? part.text : `<${part.type}>`)).join(' ');
}

function time(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
