import { BASE64_PATTERNS } from '../../src/redaction/base64.ts';
import { BUILT_IN_RECOGNIZERS } from '../../src/redaction/entities.ts';
import { obfuscatedEmailRecognizer } from '../../src/redaction/recognizers/obfuscated-email.ts';
import { ESCAPE_PATTERNS } from '../../src/redaction/escaped-view.ts';
import { CANDIDATE } from '../../src/redaction/phone-number-recognizer.ts';
import { TOKEN_PATTERNS } from '../../src/redaction/token.ts';
import { WORD } from '../../src/redaction/word-list.ts';

/** Every regular expression that meets text of unbounded length. */
export const PATTERNS: readonly RegExp[] = [
  ...[...BUILT_IN_RECOGNIZERS, obfuscatedEmailRecognizer].flatMap((recognizer) => recognizer.patterns),
  ...TOKEN_PATTERNS,
  ...ESCAPE_PATTERNS,
  ...BASE64_PATTERNS,
  CANDIDATE.start,
  CANDIDATE.more,
  WORD(),
];

/**
 * Limits in milliseconds of the search for a text that makes a pattern slow: some times the defaults, which say "slow" on a busy
 * machine. Without any the search does not end for some patterns.
 */
export const PATIENT = {
  randomSeed: 1,
  attackTimeout: 6_000,
  incubationTimeout: 1_000,
  seedingTimeout: 400,
} as const;
