/**
 * Writes `docs/errors.md` from the table in `tools/error-codes.ts`, or with `--check` fails when the page differs
 * from the table: a code cannot be added without its text.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { StrongroomError, type ErrorCode } from '../src/errors.ts';
import { ERROR_CODES } from './error-codes.ts';

const PAGE = new URL('../docs/errors.md', import.meta.url);

/** The whole page as Markdown. */
export function errorsPage(): string {
  const sections = Object.entries(ERROR_CODES).map(([code, { meaning, fix }]) => {
    const { dataLost, retryable } = new StrongroomError(code as ErrorCode, '');
    return (
      `## ${code}\n\n${meaning}\n\n` +
      `- **What to do**: ${fix}\n` +
      `- **Is data lost?** ${dataLost ? 'Yes.' : 'No.'}\n` +
      `- **Can the same call succeed later without a change?** ${retryable ? 'Yes.' : 'No.'}\n`
    );
  });
  return `# Errors

<!-- Written by \`npm run docs:errors\` from tools/error-codes.ts. Change the table there, not this page. -->

Everything that strongroom throws on purpose is a \`StrongroomError\`. Decide by its \`code\`; the text of a message may
change in any release. A message holds ids, counts and the next step, never the text of an item, key material or a
token. \`cause\` holds the error of the database, the key service or the SDK, where there was one, and that text is theirs.

The two answers below each code are fields of the error, too: \`error.dataLost\` and \`error.retryable\`, for a service that answers 503 or 409.
Where one code has both, the field is the one to believe: \`ERR_MALFORMED\` has \`dataLost: true\` for a history whose key a Redis evicted, and for a
data key that was destroyed and whose tombstone somebody edited.
Retryable does not mean harmless: an append that failed with \`ERR_STORE\` may have been stored. \`error.written\` says what is known:

| \`error.written\` | the change that failed | repeat it? |
|---|---|---|
| \`'no'\` | nothing of it was stored: the server refused the connection or the statement, or what comes before failed | yes |
| \`'unknown'\` | it may have been stored: the connection was cut, or no answer came in time | read back first; a transaction can be repeated under its operation id |
| \`'yes'\` | the session has it; what follows, such as an entry in an index of Redis, failed | no |
| \`undefined\` | the error does not say it; errors of reads, and of sessions that are not ours | as \`'unknown'\` |

Use \`isStrongroomError(error)\` instead of \`instanceof\`: it also knows the errors of a second copy of the package.

${sections.join('\n')}`;
}

if (import.meta.main) {
  const expected = errorsPage();
  if (process.argv.includes('--check')) {
    if (readFileSync(PAGE, 'utf8') !== expected) {
      console.error('docs/errors.md is out of date: run `npm run docs:errors` and commit the page.');
      process.exitCode = 1;
    }
  } else {
    writeFileSync(PAGE, expected);
  }
}
