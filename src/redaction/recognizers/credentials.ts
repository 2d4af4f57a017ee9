import { isStandIn } from './randomness.ts';

const AUTHORIZATION = /authorization$/i;
const SCHEME = /(?:basic|bearer|token|digest|apikey|api-key|negotiate|key|jwt|bot)[ \t]{1,4}/iy;
/** After a scheme any text that is not a word: RFC 7235, 2.1 (token68). */
const CREDENTIALS = /^(?![A-Z]?[a-z]+$)[A-Za-z0-9._~+/=-]{8,}$/;
const PARAMETER = String.raw`[\w-]{1,32}=(?:\\{0,3}"[^"\\\r\n]{0,512}\\{0,3}"|[^\s,"'\\=[\]][^\s,"'\\]{0,512})`;
/** After any scheme two parameters and more: `Digest username="ada", response="…"` (RFC 7235, 2.1). */
const PARAMETERS = new RegExp(
  String.raw`([A-Za-z][A-Za-z0-9-]{1,24}[ \t]{1,4})(?:${PARAMETER},\s{0,8}){1,24}${PARAMETER}`,
  'y',
);

/** Where the text after a scheme begins, `undefined` without one. */
export function afterScheme(text: string, place: number): number | undefined {
  SCHEME.lastIndex = place;
  return SCHEME.test(text) ? SCHEME.lastIndex : undefined;
}

/** Whether the text after a scheme is credentials: their form is free, so the name before it must be that of the header. */
export function areCredentials(name: string, value: string): boolean {
  return AUTHORIZATION.test(name) && CREDENTIALS.test(value) && !isStandIn(value);
}

/** The range of the parameters after a scheme. */
export function parametersAt(
  name: string,
  text: string,
  place: number,
): readonly [start: number, end: number] | undefined {
  if (!AUTHORIZATION.test(name)) return undefined;
  PARAMETERS.lastIndex = place;
  const match = PARAMETERS.exec(text);
  return match === null ? undefined : [place + (match[1] as string).length, PARAMETERS.lastIndex];
}
