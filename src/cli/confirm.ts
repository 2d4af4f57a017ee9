import { createInterface } from 'node:readline/promises';
import { CommandError } from './exit-codes.ts';
import { shown } from './output.ts';

/** What is destroyed, and the word that the person has to type. */
export interface Question {
  readonly what: string;
  readonly word: string;
}

export interface Person {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly signal: AbortSignal;
}

/** @throws {@link CommandError} `NOT_CONFIRMED` unless the person types the word. */
export async function askPerson({ what, word }: Question, { input, output, signal }: Person): Promise<void> {
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new CommandError(
      'NOT_CONFIRMED',
      `${what} This was not confirmed: nobody can be asked without a terminal. Add --yes; --dry-run shows what would happen.`,
    );
  }
  const lines = createInterface({ input, output });
  // The terminal passes Ctrl-C as a character while it is asked.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  // Ctrl-D ends the input.
  const ended = new Promise<undefined>((done) => lines.once('close', () => done(undefined)));
  try {
    const asked = lines.question(`${what}\nType ${shown(word)} to go on: `, { signal });
    const answer = await Promise.race([asked.catch(() => undefined), ended]);
    const isRight = [answer, answer?.trim()].some((text) => text === word || text === shown(word));
    if (!isRight) throw new CommandError('NOT_CONFIRMED', 'Not confirmed; nothing was changed.');
  } finally {
    lines.close();
  }
}
