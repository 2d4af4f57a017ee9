import { apiKeyRecognizer } from './recognizers/api-key.ts';
import { cardRecognizer } from './recognizers/card.ts';
import { emailRecognizer } from './recognizers/email.ts';
import { ibanRecognizer } from './recognizers/iban.ts';
import { ipRecognizer } from './recognizers/ip.ts';
import { usSsnRecognizer } from './recognizers/us-ssn.ts';
import type { BuiltInRecognizer } from './recognizer.ts';

/** Everything that is built in. */
export const BUILT_IN_RECOGNIZERS: readonly BuiltInRecognizer[] = [
  emailRecognizer,
  cardRecognizer,
  ibanRecognizer,
  ipRecognizer,
  usSsnRecognizer,
  apiKeyRecognizer,
];

/** The names of the built-in entities, Presidio's where it has one. */
export type BuiltInEntity =
  'EMAIL_ADDRESS' | 'CREDIT_CARD' | 'IBAN_CODE' | 'IP_ADDRESS' | 'US_SSN' | 'API_KEY';

/** A built-in entity, or one of a recognizer of your own. */
export type EntityType = BuiltInEntity | (string & {});

/** On unless `entities` says otherwise: what a checksum, a numbering plan or a fixed form makes precise. */
export const DEFAULT_ENTITIES: readonly BuiltInEntity[] = [
  'EMAIL_ADDRESS',
  'CREDIT_CARD',
  'IBAN_CODE',
  'IP_ADDRESS',
  'US_SSN',
  'API_KEY',
];
