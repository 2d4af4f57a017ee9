import type { RecognizerResult } from '../recognizer.ts';
import type { SecretKind } from './secret-names.ts';

/** The find of a secret that is recognized by its surroundings. */
export function secretResult(kind: SecretKind, start: number, end: number): RecognizerResult {
  return {
    entityType: kind === 'token' ? 'API_KEY' : 'PASSWORD',
    start,
    end,
    score: kind === 'token' ? 0.75 : 0.7,
  };
}
