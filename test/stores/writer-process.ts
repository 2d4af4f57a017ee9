import { openSqlite } from '../../src/stores/sqlite.ts';

// A process of its own over one file: appends `calls` times two items to each session, pops one of every fourth.
const [path = '', writer = '', calls = '', sessions = ''] = process.argv.slice(2);
await using store = openSqlite(path);
for (let call = 0; call < Number(calls); call++) {
  const session = store.session(`shared-${call % Number(sessions)}`);
  const text = (part: number): string => `${writer} ${call} ${part}`;
  await session.addItems([0, 1].map((part) => ({ type: 'message', role: 'user', content: text(part) })));
  // The parent kills some writers: it checks what was acknowledged.
  process.stdout.write(`${call}\n`);
}
