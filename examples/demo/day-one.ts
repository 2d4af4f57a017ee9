/** Day 1, a process of its own: Ada reports a problem and gets her money back. */
import { ADA, fromEnvironment, keysOf, openConversations } from './stack.ts';
import { answer, call, openDesk } from './desk.ts';
import { note, title } from './screen.ts';

title('Day 1 · Ada reports a problem');
note(`process ${process.pid}`);

const { path, key } = fromEnvironment();
const conversations = openConversations({ path, key });
const desk = openDesk(keysOf(key), [
  call('open_ticket', { summary: 'Ferry H-204 left 20 minutes early; 84 euros were paid.' }),
  answer('I am sorry. I opened ticket T-1042 for you. Shall I ask for your money back?'),
  call('transfer_to_Refunds', {}),
  call('pay_back', { ticket: 'T-1042', euros: 84 }),
  answer('Done: 84 euros are on their way to your card, under ticket T-1042.'),
]);

const session = conversations.session(ADA);
await desk.talk(
  'Ada',
  'I am Ada Lindqvist, ada.lindqvist@example.com. Ferry H-204 left without me, 20 minutes early!',
  session,
);
await desk.talk('Ada', 'Yes please. I paid 84 euros with card 4111 1111 1111 1111.', session);
await conversations.close();
