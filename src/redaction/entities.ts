import type { BuiltInRecognizer } from './recognizer.ts';
import { apiKeyRecognizer } from './recognizers/api-key.ts';
import { cardRecognizer } from './recognizers/card.ts';
import { commandPasswordRecognizer } from './recognizers/command-passwords.ts';
import { cookieRecognizer } from './recognizers/cookies.ts';
import { cryptoRecognizer } from './recognizers/crypto.ts';
import { emailRecognizer } from './recognizers/email.ts';
import { ibanRecognizer } from './recognizers/iban.ts';
import { ipRecognizer } from './recognizers/ip.ts';
import { nationalIdRecognizers } from './recognizers/national-ids.ts';
import { namedSecretRecognizer } from './recognizers/named-secrets.ts';
import { macRecognizer, urlRecognizer } from './recognizers/network.ts';
import { phoneRecognizer } from './recognizers/phone.ts';
import { jwtRecognizer, passwordInUrlRecognizer, privateKeyRecognizer } from './recognizers/secrets.ts';
import { usSsnRecognizer } from './recognizers/us-ssn.ts';

/** Everything that is built in. */
export const BUILT_IN_RECOGNIZERS: readonly BuiltInRecognizer[] = [
  emailRecognizer,
  phoneRecognizer,
  cardRecognizer,
  ibanRecognizer,
  ipRecognizer,
  macRecognizer,
  urlRecognizer,
  cryptoRecognizer,
  usSsnRecognizer,
  ...nationalIdRecognizers,
  apiKeyRecognizer,
  namedSecretRecognizer,
  cookieRecognizer,
  commandPasswordRecognizer,
  jwtRecognizer,
  privateKeyRecognizer,
  passwordInUrlRecognizer,
];

/** The names of the built-in entities, Presidio's where it has one. */
export type BuiltInEntity =
  | 'EMAIL_ADDRESS'
  | 'PHONE_NUMBER'
  | 'CREDIT_CARD'
  | 'IBAN_CODE'
  | 'IP_ADDRESS'
  | 'MAC_ADDRESS'
  | 'URL'
  | 'CRYPTO'
  | 'US_SSN'
  | 'US_ITIN'
  | 'UK_NHS'
  | 'UK_NINO'
  | 'ES_NIF'
  | 'ES_NIE'
  | 'IT_FISCAL_CODE'
  | 'DE_TAX_ID'
  | 'PL_PESEL'
  | 'IN_AADHAAR'
  | 'AU_TFN'
  | 'API_KEY'
  | 'JWT'
  | 'PRIVATE_KEY'
  | 'PASSWORD'
  | 'PASSWORD_IN_URL';

/** A built-in entity, or one of a recognizer of your own. */
export type EntityType = BuiltInEntity | (string & {});

/** On by default: entities that a checksum, a numbering plan or a fixed format makes precise. */
export const DEFAULT_ENTITIES: readonly BuiltInEntity[] = [
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'IBAN_CODE',
  'IP_ADDRESS',
  'MAC_ADDRESS',
  'CRYPTO',
  'US_SSN',
  'API_KEY',
  'JWT',
  'PRIVATE_KEY',
  'PASSWORD',
  'PASSWORD_IN_URL',
];

/** Identity numbers by ISO 3166-1 country code. */
export const COUNTRY_ENTITIES: Readonly<Record<Country, readonly BuiltInEntity[]>> = {
  AU: ['AU_TFN'],
  DE: ['DE_TAX_ID'],
  ES: ['ES_NIF', 'ES_NIE'],
  GB: ['UK_NHS', 'UK_NINO'],
  IN: ['IN_AADHAAR'],
  IT: ['IT_FISCAL_CODE'],
  PL: ['PL_PESEL'],
  US: ['US_SSN', 'US_ITIN'],
};

/** A country whose identity numbers are built in. */
export type Country = 'AU' | 'DE' | 'ES' | 'GB' | 'IN' | 'IT' | 'PL' | 'US';
