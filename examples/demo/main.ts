/**
 * `npm run demo`: a support desk in two processes, then what the file holds, what attacks on it do, and what it cost.
 * `npm run demo -- --replay FILE.jsonl`: recorded conversations through the stack.
 *
 * Without `OPENAI_API_KEY` a scripted model answers and nothing leaves this machine. Everything is written into a new
 * temporary folder, which stays for you to look at.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateKey } from 'strongroom';
import { scripted } from './desk.ts';
import { inspect } from './inspect.ts';
import { replay } from './replay.ts';
import { note } from './screen.ts';

const { values } = parseArgs({ options: { replay: { type: 'string' }, limit: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'strongroom-demo-'));

if (values.replay === undefined) {
  const path = join(folder, 'conversations.db');
  const key = JSON.stringify(await generateKey());
  note(
    scripted
      ? 'No OPENAI_API_KEY: a scripted model answers.'
      : 'OPENAI_API_KEY is set: the real model answers.',
  );
  runProcess('day-one.ts', path, key);
  runProcess('day-two.ts', path, key);
  await inspect({ path, key, folder });
} else {
  await replay(values.replay, folder, values.limit === undefined ? Infinity : Number(values.limit));
}
note(`The files are in ${folder}`);

/** A process that gets the file and the key as a service would: from its environment. */
function runProcess(file: string, path: string, key: string): void {
  const { status } = spawnSync(process.execPath, [...process.execArgv, join(import.meta.dirname, file)], {
    stdio: 'inherit',
    env: { ...process.env, STRONGROOM_DEMO_FILE: path, STRONGROOM_KEY: key },
  });
  if (status !== 0) process.exitCode = status ?? 1;
}
