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
  WORD,
];

/** The search for a text that makes a pattern slow, by counted steps alone: its limits in milliseconds say "slow" on a busy machine. */
export const BY_STEPS = {
  randomSeed: 1,
  attackTimeout: null,
  incubationTimeout: null,
  seedingTimeout: null,
} as const;
